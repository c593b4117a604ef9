"""The figures of a number line's page: single panels, which stand side by side where there is room."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup
from matplotlib.axes import Axes

from diptych.numerosity.inputs import COVARIATES
from diptych.numerosity.results import NumberLine
from diptych.plots.axes import HIGH, WIDE, legend_below
from diptych.plots.canvas import blank
from diptych.plots.numerosity import action_errors, covariates, distances, islands, quantity
from diptych.plots.numerosity.runs import runs_of
from diptych.report.figures import png, uri


@dataclass(frozen=True)
class Panel:
    """A figure on the page.

    Attributes:
        title: What it shows.
        uri: Data URI of the PNG.
    """

    title: str
    uri: Markup


def panels(line: NumberLine, limit: int | None = None) -> dict[str, list[Panel]]:
    """Everything that the parts of an analysis allow to draw, by section of the page.

    Args:
        line: The number line.
        limit: Most objects that were trained on; no line is drawn without.
    """
    found: dict[str, list[Panel]] = {}
    for section, title, legend, draw in _drawings(line, limit):
        figure = blank(WIDE, HIGH + (0.5 if legend else 0))
        ax = figure.subplots()
        draw(ax)
        if legend:
            legend_below(figure, [ax])
        found.setdefault(section, []).append(Panel(title, uri(png(figure))))
    return found


def _drawings(line: NumberLine, limit: int | None) -> Iterator[tuple[str, str, bool, Callable[[Axes], None]]]:
    """(section, title, whether a legend stands below, what draws) of each panel."""
    if line.islands.order is not None:
        yield "islands", "Order of the islands", False, lambda ax: islands.draw_path(ax, line)
        yield "islands", "Links between them", False, lambda ax: islands.draw_links(ax, line)
    if len(line.sweep.n_islands):
        for each, title in (("n_islands", "Islands"), ("subitizing_limit", "Subitizing limit")):
            yield (
                "islands",
                f"{title} by the smallest island’s size",
                False,
                partial(islands.draw_sweep, quantity=each, lines=[("", line)]),
            )
    yield "quantity", "Absolute quantity", True, lambda ax: quantity.draw_absolute(ax, line)
    if line.relative:
        judged = quantity.judged_of(line)
        if judged is not None:
            yield "quantity", "Relative quantity", False, lambda ax: quantity.draw_relative(ax, [judged])
        if len(line.relative) > 1:
            yield "quantity", "Against every reference", False, lambda ax: _draw_references(ax, line)
    yield from _action_drawings(line, limit)
    yield from _covariate_drawings(line)


def _action_drawings(
    line: NumberLine, limit: int | None
) -> Iterator[tuple[str, str, bool, Callable[[Axes], None]]]:
    moved = line.distances
    if line.action_error is not None:
        runs = runs_of(line, limit)
        yield "actions", "Errors of naming", True, lambda ax: action_errors.draw(ax, runs, ["named wrongly"])
    if moved is not None:
        yield "actions", "Distances that actions move a scene", True, lambda ax: distances.draw(ax, moved)


def _covariate_drawings(line: NumberLine) -> Iterator[tuple[str, str, bool, Callable[[Axes], None]]]:
    if line.covariate_values:
        for name in COVARIATES:
            yield (
                "covariates",
                f"{covariates.NAMES[name]} by count",
                False,
                partial(covariates.draw_by_count, covariate=name, lines=[("", line)]),
            )
    for errors in line.covariates.errors if line.covariates is not None else ():
        for name in COVARIATES:
            yield (
                "errors",
                f"Against {errors.reference}, {covariates.NAMES[name].split(' (')[0].lower()}",
                True,
                partial(covariates.draw_errors, errors=errors, covariate=name),
            )


def _draw_references(ax: Axes, line: NumberLine) -> None:
    quantity.draw_relative(ax, line.relative)
    quantity.explain(ax, len(line.relative))
