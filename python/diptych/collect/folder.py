"""The pictures of a study: the images of a folder, checked once and encoded as browsers take them."""

import io
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diptych._text import some, storable
from diptych.embed import ImageSet, check_images, read_images
from diptych.embed.images import UnreadableImageError
from diptych.embed.rgb import shrunk

if TYPE_CHECKING:
    from PIL.Image import Image

# Pixels of the longest side that a page shows; more are only sent.
_LONGEST = 1600
# Up to so many pixels nothing is lost in encoding: PNG of a large photograph takes seconds.
_LOSSLESS = 512 * 512
_QUALITY = 95


class Pictures:
    """m pictures with their classes, from a folder that has a folder for each class.

    Attributes:
        names: Paths relative to the folder, with "/".
        classes: Names of the C classes.
        labels: (m,) class of each picture.
        fingerprint: Hash of the files in their order.
    """

    def __init__(
        self, folder: str | os.PathLike[str], classes: Sequence[str] | None = None, *, progress: bool = False
    ) -> None:
        """Look at every picture of a folder once.

        Args:
            folder: The folder; images may lie deeper inside that of their class.
            classes: Those to take, all by default.
            progress: Show a bar when it takes longer than two seconds.

        Raises:
            FileNotFoundError: There is no such folder, or no image in it.
            ValueError: It has no folders of classes, fewer than two, not those that were asked for, a link
                that leads out of it, or an image that cannot be read.
        """
        self._root = Path(folder).resolve()
        self._images = _of_classes(read_images(folder), Path(folder), classes)
        self._demand_inside(Path(folder))
        _, skipped = check_images(self._images, progress=progress)
        if len(skipped):
            named = some(f"{name} ({why})" for name, why in skipped.reasons.items())
            raise ValueError(f"{folder}: images that cannot be read; mend or remove them: {named}")
        self.names = tuple(storable(str(each)) for each in self._images.ids)
        self.classes = tuple(map(storable, self._images.classes or ()))
        labels = self._images.labels
        assert labels is not None
        self.labels = tuple(labels.tolist())
        self.fingerprint = self._images.fingerprint(progress=progress)
        # Of this object alone, so that it goes when the object goes.
        self.encoded = lru_cache(maxsize=16)(self._encoded)

    def _encoded(self, picture: int) -> tuple[bytes, str]:
        """A picture as the bytes of a file and its media type.

        Written anew from the pixels: what a camera or a tool wrote beside them stays here.

        Raises:
            UnreadableImageError: It cannot be read any more, or has become a link out of the folder.
        """
        if not self._inside(picture):
            raise UnreadableImageError(f"{self.names[picture]}: leads out of the folder")
        return _encoded(shrunk(self._images.read(picture), _LONGEST))

    def _demand_inside(self, folder: Path) -> None:
        for picture, name in enumerate(self._images.ids):
            if not self._inside(picture):
                raise ValueError(
                    f"{folder}: {name} is a link that leads out of the folder, of which alone images are "
                    "served; put a copy in its place"
                )

    def _inside(self, picture: int) -> bool:
        files = self._images.files
        assert files is not None
        return files[picture].resolve().is_relative_to(self._root)


def _of_classes(images: ImageSet, folder: Path, wanted: Sequence[str] | None) -> ImageSet:
    """The images of some classes, numbered in the order of the names that the folder has."""
    if images.classes is None or images.labels is None:
        raise ValueError(f"{folder}: expected a folder for each class, found images alone")
    # A folder without images is no class: those of tools may lie beside the others.
    counts = np.bincount(images.labels, minlength=len(images.classes))
    present = [name for name, count in zip(images.classes, counts, strict=True) if count]
    chosen = present if wanted is None else [name for name in present if name in wanted]
    for name in wanted or ():
        if name not in present:
            raise ValueError(f"classes: {name} has no images in {folder}, which has {some(present)}")
    if len(chosen) < 2:
        raise ValueError(f"{folder}: expected at least two classes, found {len(chosen)}: {', '.join(chosen)}")
    numbers = {images.classes.index(name): number for number, name in enumerate(chosen)}
    taken = images.take([label in numbers for label in images.labels.tolist()])
    assert taken.labels is not None
    labels = np.array([numbers[label] for label in taken.labels.tolist()], np.int64)
    return taken.relabelled(labels, chosen)


def _encoded(image: "Image") -> tuple[bytes, str]:
    buffer = io.BytesIO()
    # Pillow hands on what it knows of the file.
    image.info.clear()
    if image.width * image.height <= _LOSSLESS:
        image.save(buffer, "PNG")
        return buffer.getvalue(), "image/png"
    image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue(), "image/jpeg"
