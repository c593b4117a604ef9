"""Folders of images in the layouts that data sets come in, by name."""

import os
from collections.abc import Callable
from typing import Literal, get_args

from diptych.embed.image_sources import open_images
from diptych.embed.images import ImageSet
from diptych.embed.inaturalist import read_inaturalist
from diptych.embed.nabirds import read_nabirds
from diptych.embed.splits import Split, check_split
from diptych.embed.stanford_cars import read_stanford_cars

Layout = Literal["folder", "inaturalist", "nabirds", "stanford-cars"]

# Those that know no splits, and what errors call them.
_WHOLE: dict[str, tuple[Callable[..., ImageSet], str]] = {
    "folder": (open_images, "a folder of images has none; give the folder of the split"),
    "inaturalist": (read_inaturalist, "an export of iNaturalist has none"),
}
_READERS: dict[str, Callable[..., ImageSet]] = {
    "nabirds": read_nabirds,
    "stanford-cars": read_stanford_cars,
}
#: The layouts of data sets that tell which images are for training and which for testing.
SPLIT_LAYOUTS = frozenset(_READERS)


def read_images(
    folder: str | os.PathLike[str], *, layout: Layout = "folder", split: Split = "all"
) -> ImageSet:
    """Make the images of a folder ready to be read.

    Args:
        folder: The folder.
        layout: "folder" as :func:`diptych.embed.open_images` takes it (ImageNet's layout, or images alone);
            "inaturalist", "nabirds" and "stanford-cars" as :func:`diptych.embed.read_inaturalist`,
            :func:`diptych.embed.read_nabirds` and :func:`diptych.embed.read_stanford_cars`.
        split: "all", or the "train" or "test" images of a data set that tells them.

    Raises:
        FileNotFoundError: A file is missing, or there is no image.
        ValueError: Another layout, a split of a layout that has none, or as the readers.
    """
    check_split(split)
    if layout not in get_args(Layout):
        known = ", ".join(map(repr, get_args(Layout)))
        raise ValueError(f"layout: expected one of {known}, found {layout!r}")
    if layout in _READERS:
        return _READERS[layout](folder, split=split)
    read, refusal = _WHOLE[layout]
    if split != "all":
        raise ValueError(f"split: expected 'all', found {split!r}; {refusal}")
    return read(folder)
