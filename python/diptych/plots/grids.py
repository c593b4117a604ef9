"""The explanations of one direction as pictures: a grid per explanation, side by side."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from diptych._pictures import Pictures, as_picture
from diptych.plots.style import ACCENTS, INK, QUIET, REST_COLOR, check_side, short
from diptych.rdx.results import RDXResult

_MAX_PIXELS = 256
_PER_ROW = 5
_GAP = 0.06
_CAPTION = 0.2


def explanation_grid(
    result: RDXResult,
    side: str,
    images: Pictures | None = None,
    *,
    labels: Sequence[str] | None = None,
    item_names: Sequence[str] | None = None,
) -> Figure:
    """Draw each explanation of one direction as a grid of its items, the seed item framed.

    Args:
        result: A comparison.
        side: "a" for what the first representation groups together, "b" for the second.
        images: Pictures by item: (h, w), (h, w, 3) or (h, w, 4), uint8 or float in [0, 1]; an array
            of n of them, or anything indexed by item. Without it names are shown.
        labels: n labels, shown under the items.
        item_names: n names, shown where there is no picture; "item 17" without them.

    Raises:
        TypeError: A picture has a dtype that is neither uint8 nor float.
        ValueError: ``side`` is neither "a" nor "b", or a picture has another shape or range.
    """
    key = check_side(side)
    source, other, explanations = result.directions[0 if key == "a" else 1]
    grids = explanations.grids
    rows = max(1, -(-len(grids) // _PER_ROW))
    columns = max(1, min(len(grids), _PER_ROW))
    figure = Figure(
        figsize=(3.0 * max(columns, 2), 3.5 * rows + 0.6), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    title = f"What {short(source)} groups together and {short(other)} does not"
    figure.suptitle(
        title if grids else f"{title}: nothing",
        color=ACCENTS[key],
        fontsize=14,
        parse_math=False,
    )
    for number, grid in enumerate(grids):
        ax = figure.add_subplot(rows, columns, number + 1)
        _draw_grid(ax, grid, ACCENTS[key], images, labels, item_names)
        rate = explanations.bsr_per_grid[number]
        size = int(np.count_nonzero(explanations.labels == number))
        ax.set_title(f"{number + 1}   BSR {rate:.2f}, cluster of {size}", fontsize=10, color=INK)
    return figure


def _draw_grid(
    ax: Axes,
    grid: NDArray[np.int64],
    accent: str,
    images: Pictures | None,
    labels: Sequence[str] | None,
    item_names: Sequence[str] | None,
) -> None:
    columns = int(np.ceil(np.sqrt(len(grid))))
    height = 1.0 if labels is None else 1.0 + _CAPTION
    for position, item in enumerate(grid.tolist()):
        row, column = divmod(position, columns)
        left, top = column * (1 + _GAP), -row * (height + _GAP)
        if images is not None:
            _draw_picture(ax, as_picture(images[item]), left, top)
        else:
            name = item_names[item] if item_names is not None else f"item {item}"
            _write(ax, _wrapped(name), left + 0.5, top - 0.5, INK)
        frame = {"edgecolor": accent, "linewidth": 2.5} if position == 0 else _QUIET_FRAME
        ax.add_patch(Rectangle((left, top - 1), 1, 1, fill=False, **frame))
        if labels is not None:
            _write(ax, short(labels[item], 14), left + 0.5, top - 1.1, QUIET)
    rows = -(-len(grid) // columns)
    ax.set_xlim(-_GAP, columns * (1 + _GAP))
    ax.set_ylim(-rows * (height + _GAP), _GAP)
    ax.set_aspect("equal")
    ax.axis("off")


_QUIET_FRAME: dict[str, Any] = {"edgecolor": REST_COLOR, "linewidth": 0.6}


def _draw_picture(ax: Axes, picture: NDArray[np.uint8], left: float, top: float) -> None:
    height, width = picture.shape[:2]
    step = max(1, max(height, width) // _MAX_PIXELS)
    across, down = width / max(width, height), height / max(width, height)
    x, y = left + (1 - across) / 2, top - (1 - down) / 2
    ax.imshow(
        picture[::step, ::step],
        extent=(x, x + across, y - down, y),
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest" if max(width, height) < 64 else "antialiased",
    )


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(short(name, 60), 12, max_lines=4, placeholder="…"))


def _write(ax: Axes, text: str, x: float, y: float, color: str) -> None:
    ax.text(x, y, text, ha="center", va="center", fontsize=7, color=color, parse_math=False)
