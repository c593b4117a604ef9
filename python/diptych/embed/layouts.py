"""Folders of images in the layouts that data sets come in, by name."""

import os
from collections.abc import Callable
from typing import Literal, get_args

from diptych.embed.images import ImageSet, open_images
from diptych.embed.nabirds import read_nabirds
from diptych.embed.splits import Split, check_split
from diptych.embed.stanford_cars import read_stanford_cars

Layout = Literal["folder", "nabirds", "stanford-cars"]

_READERS: dict[str, Callable[..., ImageSet]] = {
    "nabirds": read_nabirds,
    "stanford-cars": read_stanford_cars,
}


def read_images(
    folder: str | os.PathLike[str], *, layout: Layout = "folder", split: Split = "all"
) -> ImageSet:
    """Make the images of a folder ready to be read.

    Args:
        folder: The folder.
        layout: "folder" as :func:`diptych.embed.open_images` takes it (ImageNet's layout, or images alone);
            "nabirds" and "stanford-cars" as :func:`diptych.embed.read_nabirds` and
            :func:`diptych.embed.read_stanford_cars`.
        split: "all", or the "train" or "test" images of a data set that tells them.

    Raises:
        FileNotFoundError: A file is missing, or there is no image.
        ValueError: Another layout, a split of a folder, which has none, or as the readers.
    """
    check_split(split)
    if layout not in get_args(Layout):
        known = ", ".join(map(repr, get_args(Layout)))
        raise ValueError(f"layout: expected one of {known}, found {layout!r}")
    if layout != "folder":
        return _READERS[layout](folder, split=split)
    if split != "all":
        raise ValueError(f"split: a folder of images has none, found {split!r}; give the folder of the split")
    return open_images(folder)
