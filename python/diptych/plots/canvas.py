"""What figures begin with, and the checks of what they draw."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diptych.plots.style import QUIET, REST_COLOR


def blank(width: float, height: float) -> Figure:
    """An empty white figure of so many inches, outside of matplotlib's global state."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def bare(ax: Axes) -> None:
    """Leave the left and the lower edge, thin, and quiet numbers."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(REST_COLOR)
    ax.tick_params(color=REST_COLOR, labelcolor=QUIET, labelsize=8)


def numbers(name: str, array: Any, n: int | None = None, *, undefined: bool = False) -> NDArray[np.float64]:
    """A vector of real numbers (n,), checked.

    Args:
        name: The argument's name, for errors.
        array: The numbers.
        n: How many are wanted.
        undefined: Whether NaN is allowed.

    Raises:
        TypeError: Not real numbers.
        ValueError: Not a vector, empty, of another length, Inf, or NaN that is not allowed.
    """
    found = np.asarray(array)
    if found.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, found dtype {found.dtype}")
    if found.ndim != 1 or len(found) == 0 or n not in (None, len(found)):
        wanted = "(n,)" if n is None else f"({n},)"
        raise ValueError(f"{name}: expected shape {wanted}, found {found.shape}")
    found = found.astype(np.float64)
    if np.isinf(found).any() or (not undefined and np.isnan(found).any()):
        raise ValueError(f"{name}: expected finite numbers, found NaN or Inf")
    return found
