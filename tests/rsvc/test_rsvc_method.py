"""The whole comparison against its parts, planted truth, and invariances."""

import numpy as np
import pandas
import pytest
import torch
from planted_concepts import MISSING, two_networks
from scipy.stats import pearsonr, spearmanr

from diptych import rsvc

pytestmark = pytest.mark.usefixtures("one_thread")

K = 4


def train_and_test(dtype=np.float64):
    """Activations of both networks on training and on other images; true coefficients of both."""
    (*training, groups), (*test, test_groups) = two_networks(), two_networks(seed=7)
    return [x.astype(dtype) for x in training], groups, [x.astype(dtype) for x in test], test_groups + 1000


@pytest.fixture(scope="module")
def data():
    return train_and_test()


def compared(data, **options):
    (first, second, _), groups, (test_1, test_2, _), test_groups = data
    options = {"k": K, "eval_acts_1": test_1, "eval_acts_2": test_2, "eval_groups": test_groups} | options
    return rsvc.compare(first, second, groups=groups, progress=False, **options)


@pytest.fixture(scope="module")
def heads():
    rng = np.random.default_rng(3)
    return (rng.standard_normal((3, 30)), rng.standard_normal(3)), (rng.standard_normal((5, 41)), None)


@pytest.fixture(scope="module")
def result(data, heads):
    return compared(data, head_1=heads[0], head_2=heads[1], target=(2, 4))


def which_is(found, truth):
    """The column of ``found`` that each true concept is."""
    table = np.corrcoef(found.T, truth.T)[: found.shape[1], found.shape[1] :]
    return table.argmax(0)


def test_the_concept_that_is_missing_in_network_2_has_the_lowest_cmcs(data, result) -> None:
    _, _, (_, _, truth), _ = data
    missing = which_is(result.coefficients_1, truth)[MISSING]
    assert result.cmcs_2to1.argmin() == missing
    others = np.delete(np.arange(K), missing)
    assert result.cmcs_2to1[missing] < 0.4
    assert result.cmcs_2to1[others].min() > 0.9
    # What it is lacks by itself nothing: the network that has it tells it.
    assert result.smcs_1.min() > 0.95
    assert result.smcs_2.min() > 0.95
    assert result.mcs_1.argmin() == missing
    assert result.evaluated_on == "evaluation patches"


def test_similarities_are_scipys_of_what_is_stored(result) -> None:
    pairs = {
        "cmcs_1to2": (result.predicted_1to2, result.coefficients_2),
        "cmcs_2to1": (result.predicted_2to1, result.coefficients_1),
        "smcs_1": (result.predicted_1, result.coefficients_1),
        "smcs_2": (result.predicted_2, result.coefficients_2),
    }
    for name, (predicted, real) in pairs.items():
        for ending, reference in (("", pearsonr), ("_spearman", spearmanr)):
            expected = [reference(predicted[:, j], real[:, j]).statistic for j in range(K)]
            np.testing.assert_allclose(getattr(result, name + ending), expected, atol=1e-12)
    table = np.corrcoef(result.coefficients_1.T, result.coefficients_2.T)[:K, K:]
    np.testing.assert_allclose(result.mcs_1, table.max(1), atol=1e-12)
    np.testing.assert_allclose(result.mcs_2, table.max(0), atol=1e-12)


def test_predictions_are_those_of_the_parts(data, result) -> None:
    (first, second, _), groups, (test_1, test_2, _), test_groups = data
    concepts = [rsvc.extract(acts, K) for acts in (first, second)]
    taught = [rsvc.refit(acts, found.basis) for acts, found in zip((first, second), concepts, strict=True)]
    np.testing.assert_allclose(result.concepts_1.basis, concepts[0].basis, atol=1e-9)
    np.testing.assert_allclose(result.coefficients_2, rsvc.refit(test_2, concepts[1].basis), atol=1e-6)
    parts = {
        "1": (first, taught[0], test_1),
        "2": (second, taught[1], test_2),
        "1to2": (first, taught[1], test_1),
        "2to1": (second, taught[0], test_2),
    }
    for name, (source, coefficients, test) in parts.items():
        alone = rsvc.predict(source, coefficients, groups)
        # Two solutions to a gap of 1e-5: predictions sqrt(2e-5) = 5e-3 standard deviations apart at most.
        np.testing.assert_allclose(
            getattr(result, f"predicted_{name}"), alone.predict(test), atol=0.005 * coefficients.std(0).max()
        )
        np.testing.assert_allclose(getattr(result, f"nonzero_{name}"), alone.nonzero.mean(0), atol=1)
    np.testing.assert_array_equal(result.groups, test_groups)


def test_importance_and_replacement_are_those_of_the_parts(data, heads, result) -> None:
    for side, head, target in (("1", heads[0], 2), ("2", heads[1], 4)):
        cross = "2to1" if side == "1" else "1to2"
        real, basis = getattr(result, f"coefficients_{side}"), getattr(result, f"concepts_{side}").basis
        attributions = rsvc.concept_integrated_gradients(real, basis, head, target)
        np.testing.assert_allclose(getattr(result, f"importance_{side}"), attributions.mean(0), atol=1e-12)
        own, other = getattr(result, f"predicted_{side}"), getattr(result, f"predicted_{cross}")
        replaced = rsvc.replacement_test(real, basis, own, other, head)
        frame = result.replacement.query(f"network == '{side}'")
        for column, values in replaced._asdict().items():
            np.testing.assert_allclose(frame[column], values, atol=1e-12)
        difference = getattr(result, f"cmcs_{cross}") - getattr(result, f"smcs_{side}")
        np.testing.assert_allclose(frame["delta_pearson"], difference, atol=1e-12)


def test_replacing_the_missing_concept_changes_most(data, result) -> None:
    _, _, (_, _, truth), _ = data
    missing = which_is(result.coefficients_1, truth)[MISSING]
    assert result.replacement_1["l2"].argmax() == missing
    assert result.replacement_1["delta_pearson"].argmin() == missing


def test_the_published_code_halves_what_is_replaced(data, heads, result) -> None:
    half = compared(data, head_1=heads[0], target=2, conventions="published-code")
    np.testing.assert_allclose(half.replacement_1["l2"], result.replacement_1["l2"] / 2)
    assert half.importance_2 is None
    assert half.replacement_2 == {}
    assert set(half.replacement["network"]) == {"1"}


def test_swapping_the_networks_swaps_the_result(data, heads, result) -> None:
    (first, second, _), groups, (test_1, test_2, _), test_groups = data
    other = rsvc.compare(
        second,
        first,
        k=K,
        groups=groups,
        eval_acts_1=test_2,
        eval_acts_2=test_1,
        eval_groups=test_groups,
        head_1=heads[1],
        head_2=heads[0],
        target=(4, 2),
        progress=False,
    )
    names = ["cmcs_{}", "cmcs_{}_spearman", "nonzero_{}", "predicted_{}"]
    both = [(name.format("1to2"), name.format("2to1")) for name in names]
    names = ["smcs_{}", "smcs_{}_spearman", "mcs_{}", "nonzero_{}", "coefficients_{}", "importance_{}"]
    both += [(name.format("1"), name.format("2")) for name in names]
    for a, b in [*both, *((b, a) for a, b in both)]:
        np.testing.assert_array_equal(getattr(other, a), getattr(result, b), err_msg=a)
    for column, values in result.replacement_1.items():
        np.testing.assert_array_equal(other.replacement_2[column], values)


def test_order_of_patches_does_not_matter(data, result) -> None:
    (first, second, _), groups, *test = data
    # Within images and images among themselves; k-means and NMF start from what the whole matrix says.
    order = np.random.default_rng(0).permutation(len(groups))
    moved = compared(([first[order], second[order], None], groups[order], *test))
    truth = data[2][2]
    for name in ("cmcs_2to1", "smcs_1", "mcs_1"):
        place, again = which_is(result.coefficients_1, truth), which_is(moved.coefficients_1, truth)
        # The factorisation ends when its error falls by 1e-5 of itself: where, rounding decides.
        np.testing.assert_allclose(
            getattr(moved, name)[again], getattr(result, name)[place], atol=0.02, err_msg=name
        )


def test_without_evaluation_patches_the_held_out_folds_are_what_is_compared(data) -> None:
    (first, second, truth), groups, _, _ = data
    found = rsvc.compare(first, second, k=K, groups=groups, progress=False)
    assert found.evaluated_on == "held-out folds"
    assert found.importance_1 is None
    assert len(found.replacement) == 0
    np.testing.assert_array_equal(found.groups, groups)
    np.testing.assert_array_equal(found.predicted_1, found.regression_1.held_out[:, :K])
    np.testing.assert_array_equal(found.predicted_1to2, found.regression_1.held_out[:, K:])
    np.testing.assert_array_equal(found.predicted_2to1, found.regression_2.held_out[:, K:])
    missing = which_is(found.coefficients_1, truth)[MISSING]
    assert found.cmcs_2to1.argmin() == missing
    assert found.cmcs_2to1[missing] < 0.4


def test_concepts_come_from_a_networks_own_images(data) -> None:
    (first, second, _), groups, *_ = data
    rows = groups < 12
    found = compared(data, rows_1=rows, rows_2=~rows)
    np.testing.assert_allclose(found.concepts_1.basis, rsvc.extract(first[rows], K).basis, atol=1e-9)
    np.testing.assert_allclose(found.concepts_2.basis, rsvc.extract(second[~rows], K).basis, atol=1e-9)
    assert len(found.regression_1.folds) == len(groups)


def test_signed_activations_take_semi_nmf(data) -> None:
    (first, second, truth), groups, (test_1, test_2, test_truth), test_groups = data
    moved = ([first, second - 1, truth], groups, [test_1, test_2 - 1, test_truth], test_groups)
    found = compared(moved)
    assert (found.concepts_1.method, found.concepts_2.method) == ("nmf", "semi_nmf")
    assert (found.coefficients_2 >= 0).all()
    assert found.smcs_2.min() > 0.5


def test_a_dead_concept_is_undefined_and_said_to_be(data) -> None:
    (first, second, _), groups, (test_1, test_2, _), _ = data
    # Evaluation patches that hold nothing of one pattern: its features are zero there.
    mute = test_1.copy()
    concepts = rsvc.extract(first, K)
    strongest = concepts.basis[1] > 0.1 * concepts.basis[1].max()
    mute[:, strongest] = 0
    mute *= ~strongest
    found = rsvc.compare(
        first, second, k=K, groups=groups, eval_acts_1=mute, eval_acts_2=test_2, progress=False
    )
    dead = (found.coefficients_1 == 0).all(0)
    assert dead.any()
    for name in ("cmcs_2to1", "smcs_1", "mcs_1", "cmcs_2to1_spearman"):
        np.testing.assert_array_equal(np.isnan(getattr(found, name)), dead)
    assert np.isfinite(found.mcs_2).all()
    assert any(f"Concept {dead.argmax()} of network 1 is dead" in note for note in found.notes)
    np.testing.assert_array_equal(found.to_frame().query("network == '1'")["dead"], dead)
    assert "is dead" in found.summary()


def test_a_concept_that_no_feature_tells_of_has_similarity_zero(data) -> None:
    found = compared(data, alpha=0.95)
    untold = found.nonzero_2to1 == 0
    assert untold.any()
    np.testing.assert_array_equal(found.cmcs_2to1[untold], 0)
    assert any("No feature of the other network tells of concept" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["tensor", "float32", "float16"])
def test_other_arrays(data, result, kind) -> None:
    convert = {
        "tensor": torch.from_numpy,
        "float32": lambda x: x.astype(np.float32),
        "float16": lambda x: x.astype(np.float16),
    }[kind]
    (first, second, truth), groups, (test_1, test_2, test_truth), test_groups = data
    test = [convert(test_1), convert(test_2), test_truth]
    found = compared([[convert(first), convert(second), truth], groups, test, test_groups])
    assert isinstance(found.cmcs_1to2, np.ndarray)
    assert found.cmcs_1to2.dtype == np.float64
    place, again = (which_is(each.coefficients_1, test_truth) for each in (result, found))
    # Halves round activations to 11 bits; the factorisation's end, see above.
    np.testing.assert_allclose(found.cmcs_2to1[again], result.cmcs_2to1[place], atol=0.02)


def test_activations_may_be_on_a_device(data, result, device) -> None:
    def move(arrays):
        return [torch.from_numpy(x).to(device) for x in arrays]

    training, groups, test, test_groups = data
    found = compared((move(training), groups, move(test), test_groups))
    assert isinstance(found.coefficients_1, np.ndarray)
    place, again = (which_is(each.coefficients_1, test[2]) for each in (result, found))
    np.testing.assert_allclose(found.cmcs_2to1[again], result.cmcs_2to1[place], atol=0.02)


def test_the_same_bits_every_time(data, result, heads) -> None:
    again = compared(data, head_1=heads[0], head_2=heads[1], target=(2, 4))
    pandas.testing.assert_frame_equal(again.to_frame(), result.to_frame(), check_exact=True)


def test_progress_is_shown_with_its_end(data, impatient, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    (first, second, _), groups, *_ = data
    rsvc.compare(first, second, k=2, groups=groups)
    assert "ETA" in capsys.readouterr().err
    rsvc.compare(first, second, k=2, groups=groups, progress=False)
    assert capsys.readouterr().err == ""


def test_every_stage_is_timed(result) -> None:
    assert list(result.seconds) == ["extract", "regress", "evaluate", "replace"]
    assert all(seconds >= 0 for seconds in result.seconds.values())
    assert "torch" in result.versions


def test_refusals(data) -> None:
    (first, second, _), groups, (test_1, test_2, _), _ = data
    nan = second.copy()
    nan[7, 1] = np.nan
    head = np.ones((3, 30)), None
    cases = [
        ({"groups": groups // 6}, ValueError, "groups: 5 folds need patches of at least 5 images, found 4"),
        ({"groups": groups[1:]}, ValueError, r"groups: .* shape \(192,\), found \(191,\)"),
        ({"groups": None, "folds": 193}, ValueError, "groups: 193 folds need"),
        ({"acts_1": first * 0 + 1}, ValueError, "acts_1: all patches have the same activations"),
        ({"acts_2": second * 0}, ValueError, "acts_2: all patches have the same activations"),
        ({"acts_2": second[1:]}, ValueError, "acts_1 and acts_2: .* found 192 and 191 rows"),
        ({"acts_2": nan}, ValueError, "acts_2: .* NaN or Inf in row 7"),
        ({"acts_1": first[:, 0]}, ValueError, "acts_1: expected a matrix"),
        ({"acts_1": first[:0], "acts_2": second[:0]}, ValueError, "acts_1: expected at least one row"),
        ({"acts_1": "x"}, TypeError, "acts_1: expected"),
        ({"k": 193}, ValueError, "k: expected at most 192, the number of patches"),
        ({"k": 0}, ValueError, "k: expected 1 to"),
        ({"k": 2.0}, TypeError, "k: expected an integer"),
        ({"alpha": 0}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": -0.1}, ValueError, "alpha: expected a number above 0"),
        ({"folds": 1}, ValueError, "folds: expected 2 to"),
        ({"method": "pca"}, ValueError, "method: expected one of"),
        ({"conventions": "paper"}, ValueError, "conventions: expected one of"),
        ({"seed": -1}, ValueError, "seed: expected"),
        ({"acts_2": second - 1, "method": "nmf"}, ValueError, "acts_2: method 'nmf' expects numbers of at"),
        ({"eval_acts_1": test_1}, ValueError, "eval_acts_2: expected the evaluation patches of both"),
        ({"eval_acts_2": test_2}, ValueError, "eval_acts_1: expected the evaluation patches of both"),
        ({"eval_groups": groups}, ValueError, "eval_groups: expected with eval_acts_1 and eval_acts_2"),
        (
            {"eval_acts_1": test_1[:, 1:], "eval_acts_2": test_2},
            ValueError,
            "acts_1 and eval_acts_1: .* found 30 and 29 columns",
        ),
        ({"eval_acts_1": test_1, "eval_acts_2": test_2[1:]}, ValueError, "eval_acts_1 and eval_acts_2: "),
        ({"eval_acts_1": test_1[:1], "eval_acts_2": test_2[:1]}, ValueError, "eval_acts_1: .* at least 2"),
        (
            {"eval_acts_1": test_1, "eval_acts_2": test_2, "eval_groups": groups[1:]},
            ValueError,
            r"eval_groups: .* shape \(192,\)",
        ),
        ({"rows_1": groups}, TypeError, "rows_1: expected bool"),
        ({"rows_2": groups[1:] > 3}, ValueError, r"rows_2: expected shape \(192,\), found \(191,\)"),
        ({"rows_2": groups > 99}, ValueError, "rows_2: network 2 has no patch to extract concepts from"),
        ({"rows_1": groups == 3, "k": 9}, ValueError, "k: expected at most 8, .* network 1's"),
        (
            {"head_1": head},
            ValueError,
            "target: expected the number of the class in head_1's logits, found None",
        ),
        ({"head_1": head, "target": 3}, ValueError, "target: expected 0 to 2, found 3"),
    ]
    for changes, kind, message in cases:
        options = {"acts_1": first, "acts_2": second, "groups": groups, "k": K, "progress": False} | changes
        with pytest.raises(kind, match=message):
            rsvc.compare(**options)
