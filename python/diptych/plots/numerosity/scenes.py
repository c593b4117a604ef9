"""What the scenes look like."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from diptych._pictures import as_picture
from diptych.plots.canvas import blank
from diptych.plots.style import INK, REST_COLOR, short

_SHOWN = 6
_SIDE = 1.15


def figure(scenes: Mapping[str, Any]) -> Figure:
    """Draw the first six scenes of each data set in a row.

    Args:
        scenes: Images by name of the data set: (n, h, w) or (n, c, h, w) with c = 1 or 3; uint8, or float in
            [0, 1].

    Raises:
        TypeError: Not a mapping; images that are neither uint8 nor float.
        ValueError: No images, another shape or range.
    """
    if not isinstance(scenes, Mapping):
        raise TypeError(f"scenes: expected images by name, found {type(scenes).__name__}")
    if not scenes or any(len(images) == 0 for images in scenes.values()):
        raise ValueError("scenes: expected images of at least one data set, and none without, found none")
    columns = min(_SHOWN, max(len(images) for images in scenes.values()))
    drawn = blank(_SIDE * columns + 0.5, (_SIDE + 0.06) * len(scenes) + 0.1)
    axes = drawn.subplots(len(scenes), columns, squeeze=False)
    for row, (name, images) in zip(axes, scenes.items(), strict=True):
        for ax in row:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color(REST_COLOR)
        for ax, image in zip(row, images, strict=False):
            ax.imshow(as_picture(image, f"scenes, {name!r}"), cmap="gray", vmin=0, vmax=255)
        for ax in row[len(images) :]:
            ax.axis("off")
        row[0].set_ylabel(short(str(name), 20), fontsize=9, color=INK, parse_math=False)
    return drawn
