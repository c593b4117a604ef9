"""Patches of images side by side: what a concept looks like, and where it is predicted wrongly."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from diptych._pictures import PatchSource, Pictures, as_picture, picture_of
from diptych.plots.canvas import blank
from diptych.plots.style import ACCENTS, INK, QUIET, REST_COLOR, check_side, short

#: Left, top, right and bottom edge in pixels; right and bottom are outside.
Box = Sequence[int]

_GAP = 0.06


class Crops:
    """The patches of images, cut out when they are asked for: ``crops[i]``.

    Args:
        images: Pictures by image: (h, w) or (h, w, c); an array of them, or anything indexed by image.
        boxes: The box of each patch, as :meth:`diptych.embed.PatchGrid.boxes` gives those of an image; all
            images have the same.
    """

    def __init__(self, images: Pictures, boxes: Sequence[Box]) -> None:
        if len(boxes) == 0:
            raise ValueError("boxes: expected at least one box, found none")
        for number, box in enumerate(boxes):
            left, top, right, bottom = box
            if not (0 <= left < right and 0 <= top < bottom):
                raise ValueError(
                    "boxes: expected 0 <= left < right and 0 <= top < bottom, found "
                    f"{tuple(box)} as box {number}"
                )
        self._images = images
        self._boxes = list(boxes)

    def __getitem__(self, patch: int) -> NDArray[Any]:
        """Return patch i: box i mod b of image i div b.

        Raises:
            ValueError: The box reaches beyond the image.
        """
        image, number = divmod(int(patch), len(self._boxes))
        left, top, right, bottom = self._boxes[number]
        picture = as_picture(self._images[image])
        height, width = picture.shape[:2]
        if right > width or bottom > height:
            raise ValueError(
                f"boxes: box {tuple(self._boxes[number])} reaches beyond image {image} of {width} by {height}"
            )
        return picture[top:bottom, left:right]


def collage_figure(
    collages: Mapping[str, Sequence[int]],
    patches: PatchSource,
    *,
    columns: int = 3,
    side: str = "a",
    title: str | None = None,
) -> Figure:
    """Draw collages side by side, each a grid of patches under its name.

    Args:
        collages: Indices of the patches of each collage by its name, best first; see
            :func:`diptych.rsvc.collages`.
        patches: Pictures by patch: an array (m, h, w) or (m, h, w, c), anything indexed by patch such as
            :class:`Crops`, or a function of the index. Only what is shown is asked for.
        columns: Patches in a row.
        side: "a" or "b": the colour of the title.
        title: Above all.

    Raises:
        TypeError: A picture has a dtype that is neither uint8 nor float.
        ValueError: No collages, columns below 1, another side, a picture of another shape or range.
    """
    if not collages:
        raise ValueError("collages: expected at least one collage, found none")
    if columns < 1:
        raise ValueError(f"columns: expected at least 1, found {columns}")
    accent = ACCENTS[check_side(side)]
    most = max(len(chosen) for chosen in collages.values())
    rows = max(1, -(-most // columns))
    figure = blank(0.9 * columns * len(collages) + 0.5, 0.9 * rows + (1.0 if title else 0.5))
    if title:
        figure.suptitle(short(title, 80), color=accent, fontsize=13, parse_math=False)
    axes = figure.subplots(1, len(collages), squeeze=False)[0]
    for ax, (name, chosen) in zip(axes, collages.items(), strict=True):
        ax.set_title(short(name), fontsize=10, color=INK, parse_math=False)
        draw_collage(ax, chosen, patches, columns, rows)
    return figure


def draw_collage(ax: Axes, chosen: Sequence[int], patches: PatchSource, columns: int, rows: int) -> None:
    """Draw patches row by row, each in a unit square; a word where there are none."""
    for (left, top), patch in zip(_places(columns), chosen, strict=False):
        picture = picture_of(patches, patch)
        height, width = picture.shape[:2]
        across, down = width / max(width, height), height / max(width, height)
        x, y = left + (1 - across) / 2, top - (1 - down) / 2
        ax.imshow(
            picture,
            extent=(x, x + across, y - down, y),
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="nearest" if max(width, height) < 48 else "antialiased",
        )
        ax.add_patch(Rectangle((left, top - 1), 1, 1, fill=False, edgecolor=REST_COLOR, linewidth=0.6))
    if len(chosen) == 0:
        ax.text(columns / 2, -rows / 2, "none", ha="center", va="center", color=QUIET, fontsize=10)
    ax.set(xlim=(-_GAP, columns * (1 + _GAP)), ylim=(-rows * (1 + _GAP), _GAP), aspect="equal")
    ax.axis("off")


def _places(columns: int) -> Iterator[tuple[float, float]]:
    """Left and upper edge of one place after the other."""
    place = 0
    while True:
        row, column = divmod(place, columns)
        yield column * (1 + _GAP), -row * (1 + _GAP)
        place += 1
