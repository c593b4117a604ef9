"""Figures of number lines: what they draw, read back from the figures themselves."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from number_lines import planted

from diptych import plots
from diptych.numerosity import Run
from diptych.numerosity.order import IslandOrder
from diptych.plots.numerosity.action_errors import CHANCE
from diptych.plots.numerosity.runs import main, runs_of

FEW = {"counts": (*range(6), 9), "each": 8, "min_cluster_size": 5}
NAMES = ["main_7_3", "main_7_4", "main_7_5", *(f"appendix_7_{number}" for number in range(1, 15))]


@pytest.fixture(scope="module")
def lines() -> Any:
    """A small study: two seeds, three limits and three widths of A, one run of the other data sets."""
    names = ["A-limit3-d2-seed1", "A-limit3-d2-seed0", "A-limit5-d2-seed0", "A-limit8-d2-seed0"]
    names += ["B-limit3-d2-seed0", "jitter-limit3-d2-seed0", "imprecise-limit3-d2-seed0"]
    found = {name: planted(seed, name=name, **FEW) for seed, name in enumerate(names)}
    for d in (1, 16):
        found[f"A-limit3-d{d}-seed0"] = planted(d=d, **FEW)
    return found


@pytest.fixture(scope="module")
def bare() -> Any:
    """A number line without pairs, without covariates and without any reference."""
    return planted(counts=range(3), each=6, pairs=False, seen=False, min_cluster_size=5, name="bare")


@pytest.fixture(scope="module")
def scenes() -> Any:
    rng = np.random.default_rng(0)
    return {"A": rng.random((8, 1, 12, 12)), "photographs": rng.random((2, 3, 12, 12))}


def words(figure: Figure) -> str:
    """Everything that is written in a figure."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def curves(ax: Any, label: str) -> Any:
    (found,) = [each for each in ax.lines if each.get_label() == label]
    return np.array(found.get_xdata(), float), np.array(found.get_ydata(), float)


def test_every_figure_has_a_name_and_a_title_of_its_own() -> None:
    assert list(plots.NUMEROSITY_FIGURES) == NAMES
    assert len(set(plots.NUMEROSITY_FIGURES.values())) == len(NAMES)


def boxes(figure: Figure) -> Iterator[Any]:
    """Where each text stands that is seen, per axes; labels of ticks beyond the axes are not drawn."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            low, high = sorted(axis.get_view_interval())
            kept = [
                tick.label1.get_window_extent(renderer)
                for tick in axis.get_major_ticks()
                if tick.label1.get_visible() and tick.label1.get_text() and low <= tick.get_loc() <= high
            ]
            yield axis, kept


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn_whole_without_overlaps(name: str, lines: Any, scenes: Any) -> None:
    figure = plots.numerosity_figure(name, lines, scenes=scenes)
    figure.canvas.draw()
    assert any(ax.has_data() for ax in figure.axes)
    for _, kept in boxes(figure):
        assert [(a, b) for a, b in pairwise(kept) if a.overlaps(b)] == []
    tight = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(tight.x0, tight.y0) >= -0.01
    assert max(tight.x1 - width, tight.y1 - height) <= 0.01


def test_action_errors_are_those_of_each_data_set(lines: Any) -> None:
    figure = plots.numerosity_figure("main_7_3", lines)
    (ax,) = figure.axes
    for name in ("A", "B"):
        found = lines[f"{name}-limit3-d2-seed0"].action_error
        x, y = curves(ax, name)
        np.testing.assert_array_equal(y, found.share)
        np.testing.assert_allclose(x, found.objects, atol=0.1)  # runs stand 0.16 apart
    assert set(curves(ax, "chance")[1]) == {CHANCE}
    assert set(curves(ax, "trained on up to 3")[0]) == {3.5}
    low, high = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()]).T  # type: ignore[attr-defined]
    np.testing.assert_array_equal(low, lines["A-limit3-d2-seed0"].action_error.low)
    np.testing.assert_array_equal(high, lines["A-limit3-d2-seed0"].action_error.high)
    assert "jitter" not in words(figure)


def test_a_limit_is_drawn_where_it_is_known(lines: Any) -> None:
    line = replace(lines["B-limit3-d2-seed0"], name="mine")
    assert "trained on" not in words(plots.numerosity_figure("main_7_3", line))
    assert "trained on up to 4" in words(plots.numerosity_figure("main_7_3", line, limit=4))
    several = plots.numerosity_figure("appendix_7_10", lines)
    told = words(several)
    assert all(f"up to {limit} objects" in told for limit in (3, 5, 8))
    marks = [(line.get_xdata(), line.get_ydata()) for line in several.axes[1].lines[1:]]
    wanted = [lines[f"A-limit{limit}-d2-seed0"].subitizing_limit for limit in (3, 5, 8)]
    assert [float(np.squeeze(y)) for _, y in marks] == wanted


@pytest.mark.parametrize("d", [1, 2, 16])
def test_the_map_shows_every_item_and_labels_its_islands(d: int, lines: Any) -> None:
    line = lines[f"A-limit3-d{d}-seed0"]
    figure = plots.numerosity_figure("main_7_4", {"run": line})
    points = figure.axes[0].collections[0]
    offsets = np.asarray(points.get_offsets())
    assert len(offsets) == len(line.counts)
    if d < 3:
        np.testing.assert_allclose(offsets[:, :d], line.embeddings)
    else:
        # The first principal component orders the items as the planted line does.
        assert abs(np.corrcoef(offsets[:, 0], line.perceived)[0, 1]) > 0.98
    np.testing.assert_array_equal(points.get_array(), line.counts)
    labels = {text.get_text() for text in figure.axes[0].texts}
    assert labels <= {str(each) for each in line.islands.majority}
    assert "0" in labels
    confusion = np.asarray(figure.axes[1].images[0].get_array())
    items = line.islands.confusion.sum(0) + line.islands.outside
    np.testing.assert_allclose(confusion, np.vstack([line.islands.confusion, line.islands.outside]) / items)


def test_links_are_shares_in_the_order_of_the_path(lines: Any) -> None:
    line = lines["B-limit3-d2-seed0"]
    figure = plots.numerosity_figure("appendix_7_4", {"B": line})
    order = line.islands.order
    shown = np.asarray(figure.axes[1].images[0].get_array())
    expected = order.links[np.ix_(order.sequence, order.sequence)] / order.links[order.sequence].sum(
        1, keepdims=True
    ).clip(1)
    np.testing.assert_allclose(shown, expected)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written == [str(line.islands.majority[each]) for each in order.sequence]
    assert len(figure.axes[0].patches) == ((expected >= 0.05) & ~np.eye(len(expected), dtype=bool)).sum()


def test_quantities_are_the_results_and_their_fits(lines: Any) -> None:
    line = lines["B-limit3-d2-seed0"]
    figure = plots.numerosity_figure("main_7_5", {"B": line})
    relative, absolute = figure.axes[:2]
    # No item has 16 objects: the largest reference stands in.
    judged = line.against(9)
    np.testing.assert_array_equal(relative.lines[0].get_ydata(), judged.share)
    assert f"against 9:\nWeber fraction {judged.weber_fraction:.2f}" in words(figure)
    x, y = curves(absolute, "mean ± standard deviation")
    np.testing.assert_array_equal(x, line.absolute.counts)
    np.testing.assert_array_equal(y, line.absolute.mean)
    x, y = curves(absolute, "power law")
    np.testing.assert_allclose(y, line.absolute.power(x))
    assert f"exponent {line.exponent:.2f}" in words(figure)
    assert "people: exponent 0.83 ± 0.2" in words(figure)


def test_covariates_are_drawn_beside_count(lines: Any) -> None:
    line = lines["B-limit3-d2-seed0"]
    for number, row in ((7, 1), (8, 2), (9, 3)):
        figure = plots.numerosity_figure(f"appendix_7_{number}", {"B": line})
        for ax, errors in zip(figure.axes, line.covariates.errors, strict=True):
            for drawn, place in zip(ax.lines[:2], (0, row), strict=True):
                x, y = np.array(drawn.get_xdata(), float), np.array(drawn.get_ydata(), float)
                kept = errors.comparisons[place] > 0
                kept &= ~(errors.change[place] <= -1)
                np.testing.assert_allclose(x - 1, errors.change[place, kept])
                np.testing.assert_array_equal(y, errors.error[place, kept])
    ax = plots.numerosity_figure("appendix_7_1", {"B": line}).axes[1]
    _, medians = curves(ax, "B")
    area = line.covariate_values["summed_area"]
    np.testing.assert_allclose(medians, [np.median(area[line.counts == n]) for n in np.unique(line.counts)])


def test_runs_that_differ_in_one_thing_stand_in_its_order(lines: Any) -> None:
    x, y = curves(plots.numerosity_figure("appendix_7_2", lines).axes[0], "A")
    assert x.tolist() == [1, 2, 16]
    assert y.tolist() == [lines[f"A-limit3-d{d}-seed0"].linear_error for d in (1, 2, 16)]
    figure = plots.numerosity_figure("appendix_7_13", lines)
    assert "Data set A: 2 seeds" in words(figure)
    points = np.asarray(figure.axes[0].collections[0].get_offsets())[:, 1]
    assert points.tolist() == [lines[f"A-limit3-d2-seed{seed}"].linear_error for seed in (0, 1)]
    loose = {"one": lines["A-limit3-d2-seed0"], "two": lines["A-limit3-d2-seed1"]}
    points = np.asarray(plots.numerosity_figure("appendix_7_13", loose).axes[0].collections[0].get_offsets())
    assert len(points) == 2
    by_size = curves(plots.numerosity_figure("appendix_7_3", lines).axes[0], "B")
    np.testing.assert_array_equal(by_size[1], lines["B-limit3-d2-seed0"].sweep.n_islands)


def test_the_main_run_of_each_data_set_is_shown(lines: Any) -> None:
    chosen = [run.name for run in main(runs_of(lines))]
    assert chosen == ["A-limit3-d2-seed0", "B-limit3-d2-seed0"]
    apart = {name: line for name, line in lines.items() if name.startswith(("jitter", "imprecise"))}
    assert [run.name for run in main(runs_of(apart))] == list(apart)
    other = replace(lines["A-limit3-d2-seed0"], name="mine")
    for number, name in ((11, "jitter"), (12, "imprecise")):
        assert f"\n{name}\n" in words(plots.numerosity_figure(f"appendix_7_{number}", lines))
        assert f"\n{name}\n" not in words(plots.numerosity_figure(f"appendix_7_{number}", other))


def test_names_of_a_study_are_read_as_they_are_given(bare: Any) -> None:
    run = Run("B", seed=12, limit=5, dimension=8)
    (found,) = runs_of({run.name: replace(bare, embeddings=None)})
    assert (found.dataset, found.seed, found.limit, found.dimension) == ("B", 12, 5, 8)
    assert found.of_study
    (loose,) = runs_of({"limit3": bare}, limit=4)
    assert (loose.dataset, loose.seed, loose.limit, loose.dimension) == ("limit3", None, 4, 2)


def test_scenes_are_shown_as_they_are(scenes: Any) -> None:
    figure = plots.numerosity_figure("appendix_7_14", scenes=scenes)
    shown = [np.asarray(image.get_array()) for ax in figure.axes for image in ax.images]
    assert len(shown) == 6 + 2
    np.testing.assert_array_equal(shown[0], np.round(scenes["A"][0, 0] * 255))
    np.testing.assert_array_equal(shown[6], np.round(scenes["photographs"][0].transpose(1, 2, 0) * 255))
    assert "photographs" in words(figure)


def test_parts_that_are_missing_are_named(bare: Any) -> None:
    drawn, missing = [], {}
    for name in NAMES:
        try:
            plots.numerosity_figure(name, bare).canvas.draw()
        except plots.RunsError as error:
            missing[name] = str(error)
        else:
            drawn.append(name)
    assert drawn == ["main_7_4", "main_7_5", "appendix_7_3", "appendix_7_11", "appendix_7_12"]
    assert "a run with predicted actions, found none in 'bare'" in missing["main_7_3"]
    assert "a run with covariates" in missing["appendix_7_1"]
    assert "A-limit3-d8-seed0" in missing["appendix_7_2"]
    assert "pairs and actions" in missing["appendix_7_4"]
    assert "A-limit5-d2-seed0" in missing["appendix_7_10"]
    assert "differ in their seed" in missing["appendix_7_13"]
    assert missing["appendix_7_14"].startswith("scenes: expected images")
    told = words(plots.numerosity_figure("main_7_4", bare))
    assert "No actions were given." in told
    assert "No item has" in words(plots.numerosity_figure("main_7_5", bare))


def test_one_island_no_island_and_items_in_one_place_are_drawn() -> None:
    noisy = planted(noise=3.0, **FEW)
    assert noisy.islands.n < 3
    for name in ("main_7_4", "appendix_7_4"):
        plots.numerosity_figure(name, noisy).canvas.draw()
    labels = np.full(len(noisy.counts), -1)
    islands = replace(
        noisy.islands,
        labels=labels,
        confusion=noisy.islands.confusion[:0],
        outside=np.bincount(noisy.counts)[noisy.islands.counts],
    )
    alone = replace(noisy, islands=islands)
    assert "No put or take leads" in words(
        plots.numerosity_figure("main_7_4", replace(alone, islands=replace(islands, order=_no_order())))
    )


def test_a_path_of_many_islands_names_some_of_them(lines: Any) -> None:
    line, n = lines["B-limit3-d2-seed0"], 30
    order = IslandOrder(np.arange(n), np.arange(n, dtype=float), 9 * np.eye(n, k=1, dtype=np.int64), 1.0)
    islands = replace(line.islands, counts=np.arange(n), confusion=8 * np.eye(n, dtype=np.int64), order=order)
    ax = plots.numerosity_figure("appendix_7_4", replace(line, islands=islands)).axes[0]
    assert len(ax.patches) == n - 1
    assert [text.get_text() for text in ax.texts] == [str(each) for each in range(0, n, 3)]


def _no_order() -> Any:
    return IslandOrder(np.empty(0, np.int64), np.empty(0), np.empty((0, 0), np.int64), float("nan"))


def test_names_are_no_formulas(lines: Any) -> None:
    named = {"$\\alpha": lines["B-limit3-d2-seed0"], "x" * 60: lines["A-limit3-d2-seed0"]}
    for name in ("main_7_3", "main_7_4", "main_7_5", "appendix_7_5"):
        told = words(plots.numerosity_figure(name, named))
        assert "$\\alpha" in told
        assert "x" * 27 + "…" in told


@pytest.mark.parametrize(
    ("arguments", "options", "error", "found"),
    [
        (("main_7_2", {}), {}, ValueError, "name: expected one of 'main_7_3'.*found 'main_7_2'"),
        (("main_7_3", {}), {}, ValueError, "lines: expected at least one number line, found none"),
        (("main_7_3", None), {}, ValueError, "lines: expected number lines for 'main_7_3', found none"),
        (("main_7_3", [1]), {}, TypeError, "lines: expected a NumberLine or a mapping of them, found list"),
        (("main_7_3", {"a": 1}), {}, TypeError, "lines: expected a NumberLine as 'a', found int"),
        (("main_7_3", {}), {"limit": 0}, ValueError, "limit: expected"),
        (("appendix_7_14", None), {"scenes": [1]}, TypeError, "scenes: expected images by name, found list"),
        (("appendix_7_14", None), {"scenes": {}}, ValueError, "scenes: expected images of at least one"),
        (
            ("appendix_7_14", None),
            {"scenes": {"a": np.ones((1, 2))}},
            ValueError,
            "scenes, 'a': found a picture",
        ),
        (
            ("appendix_7_14", None),
            {"scenes": {"a": np.full((1, 2, 2), 2.0)}},
            ValueError,
            "scenes, 'a': .* 2 to 2",
        ),
        (
            ("appendix_7_14", None),
            {"scenes": {"a": np.ones((1, 2, 2), int)}},
            TypeError,
            "scenes, 'a': .*int64",
        ),
    ],
)
def test_bad_input_is_named(arguments: Any, options: Any, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        plots.numerosity_figure(*arguments, **options)


def test_what_a_figure_needs_is_told(lines: Any) -> None:
    line = lines["A-limit3-d2-seed0"]
    many = {f"data {number}": line for number in range(7)}
    with pytest.raises(ValueError, match="at most 6 data sets side by side, found 7"):
        plots.numerosity_figure("main_7_3", many)
    unsaved = replace(line, embeddings=None)
    with pytest.raises(plots.RunsError, match="saved with its embeddings, found none in 'a', 'b'"):
        plots.numerosity_figure("main_7_4", {"a": unsaved, "b": unsaved})
    with pytest.raises(plots.RunsError, match=r"of the data set 'jitter'.*'A-limit3-d2-seed0', 'b'"):
        plots.numerosity_figure("appendix_7_11", {"A-limit3-d2-seed0": line, "b": line})
