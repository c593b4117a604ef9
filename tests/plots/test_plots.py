"""Figures: what they draw, read back from the figure itself."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from diptych._pictures import as_picture
from diptych.plots import bsr_figure, explanation_grid, pca_panels
from diptych.plots.projection import project
from diptych.rdx.results import Explanations, Parameters, RDXResult

N = 60
RNG = np.random.default_rng(0)


def explanations(first: int, count: int) -> Explanations:
    grids = [np.arange(first + 9 * k, first + 9 * (k + 1)) for k in range(count)]
    labels = np.full(N, -1)
    for number, grid in enumerate(grids):
        labels[grid] = number
    rates = np.linspace(0.9, 0.7, count)
    return Explanations(grids, labels, float(rates.mean()), rates, np.full(count, 9.0))


@pytest.fixture
def result() -> RDXResult:
    embeddings = RNG.normal(size=(N, 5)), RNG.normal(size=(N, 3))
    return RDXResult(explanations(0, 3), explanations(10, 2), Parameters(), ("A $x", "B"), embeddings)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in [*ax.texts, ax.title]]


@pytest.mark.parametrize(("side", "count"), [("a", 3), ("b", 2)])
def test_each_explanation_is_a_grid_of_its_pictures(result: RDXResult, side: str, count: int) -> None:
    images = RNG.integers(0, 256, (N, 7, 7), dtype=np.uint8)
    figure = explanation_grid(result, side, images, labels=[f"L{i}" for i in range(N)])
    figure.canvas.draw()
    assert len(figure.axes) == count
    grids = result.a.grids if side == "a" else result.b.grids
    for ax, grid in zip(figure.axes, grids, strict=True):
        drawn = [np.asarray(image.get_array()) for image in ax.images]
        np.testing.assert_array_equal(drawn, images[grid])
        assert [text.get_text() for text in ax.texts] == [f"L{item}" for item in grid]
        widths = [patch.get_linewidth() for patch in ax.patches]
        assert widths[0] > max(widths[1:])  # the seed item is framed
    assert figure.axes[0].get_title() == "1   BSR 0.90, cluster of 9"


def test_names_stand_in_for_pictures(result: RDXResult) -> None:
    assert "item 0" in texts(explanation_grid(result, "a"))
    named = [f"scan{i}$" for i in range(N)]
    figure = explanation_grid(result, "a", item_names=named)
    figure.canvas.draw()
    assert "scan0$" in texts(figure)


def test_short_and_absent_grids_are_drawn(result: RDXResult) -> None:
    result.a.grids[0] = result.a.grids[0][:1]
    assert len(explanation_grid(result, "a").axes[0].patches) == 1
    nothing = Explanations([], np.full(N, -1), float("nan"), np.empty(0), np.empty(0))
    figure = explanation_grid(RDXResult(nothing, nothing, Parameters()), "b")
    assert figure.axes == []
    assert figure.get_suptitle().endswith("nothing")


def test_many_explanations_wrap_into_rows(result: RDXResult) -> None:
    result.a = explanations(0, 6)
    figure = explanation_grid(result, "a")
    figure.canvas.draw()
    tops = [round(ax.get_position().y1, 3) for ax in figure.axes]
    assert tops[5] < tops[0]


def test_side_must_be_a_or_b(result: RDXResult) -> None:
    with pytest.raises(ValueError, match="side: found 'left', wanted 'a' or 'b'"):
        explanation_grid(result, "left")


def test_panels_draw_every_item_in_both_directions(result: RDXResult) -> None:
    figure = pca_panels(result)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    for ax, side in zip(figure.axes, (result.a, result.a, result.b, result.b), strict=True):
        sizes = [len(np.asarray(points.get_offsets())) for points in ax.collections]
        assert sum(sizes) == N + sum(len(grid) for grid in side.grids)
    assert [ax.get_title() for ax in figure.axes] == ["A $x", "B"] * 2
    headings = [row.get_suptitle() for row in figure.subfigs]
    assert headings == [
        "What A $x groups together and B does not",
        "What B groups together and A $x does not",
    ]


def test_panels_need_embeddings(result: RDXResult) -> None:
    result.embeddings = None
    with pytest.raises(ValueError, match="found no embeddings"):
        pca_panels(result)


def test_projection_is_the_principal_components() -> None:
    x = RNG.normal(size=(50, 6)) * [5, 4, 1, 1, 1, 1]
    ours, theirs = project(x), PCA(2, svd_solver="full").fit(x)
    expected = theirs.transform(x)
    # float32 keeps about seven digits of values up to 15.
    np.testing.assert_allclose(np.abs(ours.points), np.abs(expected), atol=1e-5)
    assert ours.explained == pytest.approx(tuple(theirs.explained_variance_ratio_))


def test_projection_turns_axes_towards_another() -> None:
    x = RNG.normal(size=(50, 6)) * [5, 4, 1, 1, 1, 1]
    first = project(x)
    np.testing.assert_allclose(project(-x, like=first).points, first.points, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 1), (1, 3), (4, 3)])
def test_projection_of_data_without_two_axes(shape: tuple[int, int]) -> None:
    constant = project(np.ones(shape))
    np.testing.assert_array_equal(constant.points, np.zeros((shape[0], 2)))
    assert constant.explained == (0.0, 0.0)
    line = project(np.arange(5.0)[:, None])
    assert line.points[:, 1].tolist() == [0] * 5
    assert line.explained == (1.0, 0.0)


@pytest.mark.parametrize(
    ("picture", "error", "found"),
    [
        (np.zeros(4, np.uint8), ValueError, r"shape \(4,\)"),
        (np.zeros((6, 6, 2), np.uint8), ValueError, r"shape \(6, 6, 2\)"),
        (np.zeros((0, 4), np.uint8), ValueError, "empty picture"),
        (np.zeros((4, 4), np.int32), TypeError, "dtype int32"),
        (np.full((4, 4), 2.0), ValueError, "from 2 to 2"),
        (np.full((4, 4), np.nan), ValueError, "from nan to nan"),
    ],
)
def test_bad_pictures_are_refused(picture: Any, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        as_picture(picture)


def row(method: str, experiment: str, bsr: float, direction: str = "a") -> dict[str, Any]:
    return {"method": method, "experiment": experiment, "direction": direction, "bsr": bsr}


def test_bsr_bars_are_means_of_experiments() -> None:
    rows = [
        row("KMeans", "one", 0.6),
        row("SAE", "one", 0.7),
        row("RDX", "one", 0.5),
        row("RDX", "one", 0.7, "b"),
        row("RDX", "two", 0.2),
        row("RDX", "three", float("nan")),
        row("KMeans", "two", 0.5),
    ]
    figure = bsr_figure(rows)
    figure.canvas.draw()
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["RDX", "SAE", "KMeans"]
    heights = [bar.get_height() for bar in ax.patches]  # type: ignore[attr-defined]
    assert heights == pytest.approx([0.4, 0.7, 0.55])
    points = [np.asarray(c.get_offsets())[:, 1].tolist() for c in ax.collections]
    assert points == [pytest.approx([0.6, 0.2]), [0.7], [0.6, 0.5]]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], "found no row"),
        ([row("RDX", "one", float("nan"))], "found no row"),
        ([{"method": "RDX"}], "row 0 lacks experiment, direction, bsr"),
        ([row("RDX", "one", 1.2)], r"found bsr 1.2 in row 0, wanted it in \[0, 1\]"),
    ],
)
def test_bad_bsr_rows_are_refused(rows: list[dict[str, Any]], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        bsr_figure(rows)
