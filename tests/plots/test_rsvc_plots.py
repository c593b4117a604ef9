"""Figures of RSVC: what they draw, read back from the figure itself."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure

from diptych import plots, rsvc
from diptych.plots.style import ACCENTS
from diptych.rsvc.concepts import Concepts

RNG = np.random.default_rng(0)


def result(k: int = 4, heads: bool = True, seed: int = 0) -> rsvc.RSVCResult:
    """A comparison with numbers of no meaning; the last concept of each network is dead."""
    rng = np.random.default_rng(seed)

    def vector() -> Any:
        found = rng.uniform(0.1, 1.0, k)
        found[-1] = np.nan
        return found

    of_concepts = [
        f"{name}{ending}"
        for ending in ("", "_spearman")
        for name in ("cmcs_1to2", "cmcs_2to1", "smcs_1", "smcs_2")
    ]
    of_concepts += ["mcs_1", "mcs_2", "nonzero_1to2", "nonzero_2to1", "nonzero_1", "nonzero_2"]
    of_patches = ["coefficients_1", "coefficients_2"]
    of_patches += ["predicted_1to2", "predicted_2to1", "predicted_1", "predicted_2"]
    concepts = Concepts(rng.random((8, k)), rng.random((k, 5)), 0.1, "nmf", 0)
    return rsvc.RSVCResult(
        **{name: vector() for name in of_concepts},
        **{name: rng.random((20, k)) for name in of_patches},
        groups=np.repeat(np.arange(10), 2),
        concepts_1=concepts,
        concepts_2=concepts,
        regression_1=None,
        regression_2=None,
        evaluated_on="evaluation patches",
        importance_1=rng.normal(size=k) if heads else None,
        importance_2=rng.normal(size=k) if heads else None,
        names=("net $a", "net b"),
    )


def dots(figure: Figure, ax: int, collection: int = 0) -> Any:
    return np.asarray(figure.axes[ax].collections[collection].get_offsets())


def test_scatter_draws_every_patch_once_and_marks_the_wrong_ones() -> None:
    real, predicted = RNG.random(50), RNG.random(50)
    figure = plots.concept_scatter(
        real, predicted, under=[3, 7], over=np.array([11]), side="b", title="Concept $4"
    )
    figure.canvas.draw()
    rest, under, over = (dots(figure, 0, i) for i in range(3))
    plain = np.setdiff1d(np.arange(50), [3, 7, 11])
    np.testing.assert_array_equal(rest, np.column_stack([real, predicted])[plain])
    np.testing.assert_array_equal(under, np.column_stack([real, predicted])[[3, 7]])
    np.testing.assert_array_equal(over, np.column_stack([real, predicted])[[11]])
    ax = figure.axes[0]
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_title() == f"Concept $4   r = {np.corrcoef(real, predicted)[0, 1]:.2f}"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["under-predicted", "over-predicted"]


def test_scatter_of_a_dead_concept_and_of_one_patch() -> None:
    dead = plots.concept_scatter(np.zeros(5), np.arange(5.0))
    dead.canvas.draw()
    assert dead.axes[0].get_title() == "r = nan"
    one = plots.concept_scatter([0.0], [0.0])
    one.canvas.draw()
    assert one.axes[0].get_legend() is None


def test_collages_show_the_patches_asked_for_and_load_no_others() -> None:
    pictures = RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    asked: list[int] = []

    def patch(index: int) -> Any:
        asked.append(index)
        return pictures[index]

    figure = plots.collage_figure({"top": [4, 2], "under": np.array([9]), "over": []}, patch, title="C $1")
    figure.canvas.draw()
    assert asked == [4, 2, 9]
    assert all(type(index) is int for index in asked)
    assert [ax.get_title() for ax in figure.axes] == ["top", "under", "over"]
    drawn = [[np.asarray(image.get_array()) for image in ax.images] for ax in figure.axes]
    np.testing.assert_array_equal(drawn[0], pictures[[4, 2]])
    np.testing.assert_array_equal(drawn[1], pictures[[9]])
    assert [text.get_text() for text in figure.axes[2].texts] == ["none"]
    by_array = plots.collage_figure({"top": [4, 2]}, pictures)
    np.testing.assert_array_equal([np.asarray(i.get_array()) for i in by_array.axes[0].images], drawn[0])


def test_crops_are_boxes_of_images() -> None:
    images = RNG.integers(0, 256, (3, 8, 8), dtype=np.uint8)
    boxes = [(0, 0, 4, 4), (2, 3, 8, 8)]
    crops = plots.Crops(images, boxes)
    np.testing.assert_array_equal(crops[0], images[0, :4, :4])
    np.testing.assert_array_equal(crops[5], images[2, 3:8, 2:8])
    with pytest.raises(ValueError, match=r"box \(0, 0, 9, 4\) reaches beyond image 1 of 8 by 8"):
        plots.Crops(images, [(0, 0, 9, 4)])[1]
    with pytest.raises(ValueError, match="boxes: expected at least one box"):
        plots.Crops(images, [])
    with pytest.raises(ValueError, match=r"boxes: expected 0 <= left < right.*found \(4, 0, 4, 2\)"):
        plots.Crops(images, [(4, 0, 4, 2)])


def test_importance_is_drawn_over_similarity_for_both_networks() -> None:
    found = result()
    for kind, fields in (("cmcs", ("cmcs_2to1", "cmcs_1to2")), ("smcs", ("smcs_1", "smcs_2"))):
        figure = plots.similarity_importance(found, similarity=kind)
        figure.canvas.draw()
        assert [ax.get_title() for ax in figure.axes] == ["Concepts of net $a", "Concepts of net b"]
        for number, field in enumerate(fields):
            points = dots(figure, number)
            assert len(points) == 3  # the dead concept is left out
            np.testing.assert_array_equal(points[:, 0], getattr(found, field)[:3])
        assert kind.upper() in figure.axes[0].get_xlabel()


def test_density_is_shaded_where_concepts_are_many() -> None:
    many = [result(seed=seed) for seed in range(30)]
    figure = plots.similarity_importance(many)
    figure.canvas.draw()
    shades, points = figure.axes[0].collections
    assert len(np.asarray(points.get_offsets())) == 90
    assert len(shades.get_facecolor()) == 5  # type: ignore[arg-type]
    assert len(plots.similarity_importance(many[:2]).axes[0].collections) == 1


def test_importance_needs_heads_and_living_concepts() -> None:
    with pytest.raises(ValueError, match="results: expected importances"):
        plots.similarity_importance(result(heads=False))
    with pytest.raises(ValueError, match="results: expected importances"):
        plots.similarity_importance([])
    with pytest.raises(ValueError, match="results: expected importances"):
        plots.similarity_importance(result(k=1))
    with pytest.raises(ValueError, match="similarity: expected one of 'cmcs', 'smcs', found 'mcs'"):
        plots.similarity_importance(result(), similarity="mcs")
    one_sided = result()
    one_sided.importance_2 = None
    assert len(plots.similarity_importance(one_sided).axes) == 1
    one = result(k=2)
    plots.similarity_importance(one).canvas.draw()


def test_layer_matrix_writes_numbers_and_frames_the_best() -> None:
    matrix = np.array([[0.1, 0.9, np.nan], [0.7, 0.2, 0.3]])
    figure = plots.layer_matrix(matrix, layers_1=["l1", "l$2"], layers_2=["x", "y", "z"], names=("A", "B$"))
    figure.canvas.draw()
    ax = figure.axes[0]
    assert sorted(text.get_text() for text in ax.texts) == ["0.10", "0.20", "0.30", "0.70", "0.90"]
    frames = [np.round(frame.get_extents().get_points().mean(0)) for frame in ax.patches]
    places = [ax.transData.transform(place).round() for place in [(1, 0), (0, 1)]]
    np.testing.assert_allclose(frames, places, atol=1.0)  # pixels
    # On the bright cells of the largest values dark frames are seen.
    assert all(max(frame.get_edgecolor()[:3]) < 0.5 for frame in ax.patches)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["l1", "l$2"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("A", "B$")
    large = plots.layer_matrix(np.eye(49, 17))
    large.canvas.draw()
    assert len(large.axes[0].texts) == 0


def test_mcs_is_drawn_against_cmcs() -> None:
    found = result()
    figure = plots.mcs_vs_lasso([found, result(seed=1)])
    figure.canvas.draw()
    for number, fields in enumerate((("mcs_1", "cmcs_2to1"), ("mcs_2", "cmcs_1to2"))):
        points = dots(figure, 0, number)
        assert len(points) == 6
        np.testing.assert_array_equal(points[:3], np.column_stack([getattr(found, f)[:3] for f in fields]))
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == [
        "Concepts of net $a",
        "Concepts of net b",
    ]
    with pytest.raises(ValueError, match="results: found no concept"):
        plots.mcs_vs_lasso(result(k=1))
    with pytest.raises(ValueError, match="results: found no concept"):
        plots.mcs_vs_lasso([])


@pytest.fixture(scope="module")
def frame() -> pandas.DataFrame:
    first, second = np.abs(RNG.normal(size=(2, 40, 6)))
    return rsvc.sweep(first, second, alphas=(0.01, 0.1, 0.3), ks=(2, 3), progress=False)


@pytest.mark.parametrize(("over", "columns", "places"), [("alpha", 2, [0.01, 0.1, 0.3]), ("k", 3, [2, 3])])
def test_sweeps_draw_means_of_each_direction(frame: Any, over: str, columns: int, places: Any) -> None:
    figure = plots.sweep_figure(frame, over, kind="spearman", names=("A$", "B"))
    figure.canvas.draw()
    assert len(figure.axes) == 2 * columns
    other, value = ("k", 2) if over == "alpha" else ("alpha", 0.01)
    upper, lower = figure.axes[0], figure.axes[columns]
    for ax, quantity in ((upper, "spearman"), (lower, "nonzero")):
        assert len(ax.lines) == 4
        for line, direction in zip(ax.lines, ("1to1", "2to1", "2to2", "1to2"), strict=True):
            part = frame[(frame[other] == value) & (frame["direction"] == direction) & frame.spearman.notna()]
            expected = part.groupby(over)[quantity].mean()
            np.testing.assert_array_equal(np.asarray(line.get_xdata()), expected.index)
            np.testing.assert_array_equal(np.asarray(line.get_ydata()), expected)
    assert lower.get_xticks().tolist() == places
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["A$ predicted by A$", "A$ predicted by B", "B predicted by B", "B predicted by A$"]


def test_neurons_stand_beside_their_patches() -> None:
    pictures = RNG.integers(0, 256, (20, 5, 5), dtype=np.uint8)
    fall = np.array([0.1, 0.0, 0.5, 0.2])
    figure = plots.neuron_figure(
        fall, [2, 3], [[5, 6, 7], [8]], pictures, spread=np.full(4, 0.01), side="b", title="Concept 1"
    )
    figure.canvas.draw()
    bars, first, second = figure.axes
    assert [bar.get_width() for bar in bars.patches] == [0.5, 0.2]  # type: ignore[attr-defined]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["neuron 2", "neuron 3"]
    np.testing.assert_array_equal([np.asarray(i.get_array()) for i in first.images], pictures[[5, 6, 7]])
    np.testing.assert_array_equal([np.asarray(i.get_array()) for i in second.images], pictures[[8]])
    assert bars.patches[0].get_facecolor() == mpl.colors.to_rgba(ACCENTS["b"])


@pytest.mark.parametrize(
    ("call", "error", "found"),
    [
        (lambda: plots.concept_scatter([1.0], [1.0, 2.0]), ValueError, r"predicted: expected shape \(1,\)"),
        (lambda: plots.concept_scatter([], []), ValueError, r"real: expected shape \(n,\)"),
        (lambda: plots.concept_scatter([np.nan], [1.0]), ValueError, "real: expected finite"),
        (lambda: plots.concept_scatter(["x"], [1.0]), TypeError, "real: expected real numbers"),
        (lambda: plots.concept_scatter([1.0], [1.0], under=[1]), ValueError, "under: expected indices of 1"),
        (lambda: plots.concept_scatter([1.0], [1.0], side="c"), ValueError, "side: found 'c'"),
        (lambda: plots.collage_figure({}, []), ValueError, "collages: expected at least one"),
        (lambda: plots.collage_figure({"a": []}, [], columns=0), ValueError, "columns: expected at least 1"),
        (
            lambda: plots.collage_figure({"a": [1]}, {1: np.zeros((2, 2), int)}),
            TypeError,
            "patches, patch 1: found dtype int64",
        ),
        (lambda: plots.layer_matrix([1.0]), ValueError, r"matrix: expected shape \(L1, L2\), found \(1,\)"),
        (lambda: plots.layer_matrix([[np.nan]]), ValueError, "nothing but NaN"),
        (lambda: plots.layer_matrix([[np.inf]]), ValueError, "found Inf"),
        (lambda: plots.layer_matrix([["a"]]), TypeError, "matrix: expected real numbers"),
        (lambda: plots.layer_matrix([[0.1]], layers_1=[]), ValueError, "layers_1: expected 1 names, found 0"),
        (
            lambda: plots.sweep_figure(pandas.DataFrame(), "x"),
            ValueError,
            "over: expected one of 'alpha', 'k'",
        ),
        (lambda: plots.sweep_figure(pandas.DataFrame(), kind="x"), ValueError, "kind: expected 'pearson'"),
        (
            lambda: plots.sweep_figure(pandas.DataFrame({"k": [1]})),
            ValueError,
            "none called alpha, direction",
        ),
        (
            lambda: plots.sweep_figure(
                pandas.DataFrame(
                    {c: [np.nan] for c in ("k", "alpha", "direction", "pearson", "spearman", "nonzero")}
                )
            ),
            ValueError,
            "found no row with a pearson correlation",
        ),
        (lambda: plots.neuron_figure([0.1], [], [], []), ValueError, r"neurons: expected indices of 1"),
        (lambda: plots.neuron_figure([0.1], [1], [[]], []), ValueError, r"neurons: .*found \[1\]"),
        (lambda: plots.neuron_figure([0.1], [0], [], []), ValueError, "top_patches: expected those of 1"),
        (
            lambda: plots.neuron_figure([0.1], [0], [[]], [], spread=[1.0, 2.0]),
            ValueError,
            r"spread: expected shape \(1,\)",
        ),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        call()
