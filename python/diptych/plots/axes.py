"""What panels of several workflows have in common."""

from collections.abc import Iterable
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from diptych.plots.canvas import bare
from diptych.plots.style import ACCENTS, CLUSTER_COLORS, INK, QUIET

#: Colour and mark of one run after the other: no two have the same mark.
COLORS = (ACCENTS["a"], ACCENTS["b"], CLUSTER_COLORS[0], CLUSTER_COLORS[3], CLUSTER_COLORS[6], QUIET)
MARKS = ("o", "s", "^", "D", "v", "P")

#: Dashes of lines that are there to compare with.
DASHED = (0, (4, 3))
DOTTED = (0, (1, 2))

#: Width and height of a panel, in inches: what a column of a page holds.
WIDE, HIGH = 3.6, 3.0

FONT = 8.0


def prepare(ax: Axes, x: str, y: str, title: str = "") -> None:
    """Name the axes and leave out what says nothing."""
    bare(ax)
    ax.set_xlabel(x, color=INK, fontsize=FONT + 1, parse_math=False)
    ax.set_ylabel(y, color=INK, fontsize=FONT + 1, parse_math=False)
    if title:
        ax.set_title(title, color=INK, fontsize=FONT + 2, parse_math=False)


def absent(ax: Axes, words: str) -> None:
    """Say why a panel is empty."""
    ax.text(0.5, 0.5, words, ha="center", va="center", color=QUIET, fontsize=FONT + 1, transform=ax.transAxes)
    ax.axis("off")


def percent_axis(ax: Axes) -> None:
    """Show shares on the vertical axis as percentages."""
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def log_ticks(ax: Axes, low: float, high: float, *, both: bool = False) -> None:
    """Logarithmic axes with ticks at 1, 2, 5, 10 and so on between two values."""
    ticks = [step * 10.0**power for power in range(-2, 6) for step in (1, 2, 5)]
    for axis, scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale))[: 2 if both else 1]:
        scale("log")
        axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{value:g}")


def legend_below(figure: Figure, axes: Iterable[Axes], columns: int = 2, marks: float = 1) -> None:
    """One legend under all panels, each name once, its marks so many times as large; none without names."""
    found: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        options: dict[str, Any] = {"ncols": columns, "frameon": False, "fontsize": FONT, "markerscale": marks}
        legend = figure.legend(list(found.values()), list(found), loc="outside lower center", **options)
        for text in legend.get_texts():
            text.set_parse_math(False)
