"""The images that models are shown, read when they are asked for; those that cannot be read are told."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._progress import track
from diptych._text import some
from diptych.embed.image_readers import DIGEST_BYTES, Files, Reader, is_of_the_image

if TYPE_CHECKING:
    from PIL.Image import Image

#: Images: a folder, a list of paths, an array (n, h, w) or (n, h, w, c) of uint8, a torch data set.
ImagesLike: TypeAlias = "ImageSet | str | os.PathLike[str] | Sequence[Any] | NDArray[Any] | torch.Tensor"

# Images handed to the threads at once.
_BLOCK = 1024

_Got = TypeVar("_Got")


class UnreadableImageError(ValueError):
    """An image that cannot be read; the message says which and why."""


@dataclass(frozen=True)
class Unreadable:
    """The images that were skipped because they cannot be read.

    Attributes:
        n: Number of images looked at.
        reasons: Why each of the skipped ones cannot be read, by id.
    """

    n: int
    reasons: dict[str, str]

    def __len__(self) -> int:
        return len(self.reasons)

    def __str__(self) -> str:
        if not self.reasons:
            return f"all {self.n} images were read"
        named = some(f"{name} ({reason})" for name, reason in self.reasons.items())
        return f"{len(self)} of {self.n} images could not be read and were skipped: {named}"

    def demand_some(self) -> None:
        """Refuse to go on where nothing could be read.

        Raises:
            ValueError: All of the images were skipped.
        """
        if self.n == len(self):
            raise ValueError(f"images: none could be read: {self}")


class ImageSet:
    """n images, read when they are asked for; made by :func:`diptych.embed.open_images`.

    Attributes:
        ids: (n,) str: paths relative to the folder (with "/"), paths as they were given, or "0", "1", ...
        classes: Names of the classes, or None.
        names: (n,) str, what a report calls the images, with the credit that their licences ask for; None
            where the ids say all.
        notes: What was left out, in sentences.
    """

    def __init__(
        self,
        reader: Reader,
        items: NDArray[np.int64],
        ids: NDArray[Any],
        labels: NDArray[np.int64] | None,
        classes: tuple[str, ...] | None,
        *,
        names: NDArray[Any] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.ids, self.classes, self.names, self.notes = ids, classes, names, notes
        self._reader, self._items, self._labels = reader, items, labels
        self._fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        classes = "" if self.classes is None else f", {len(self.classes)} classes"
        return f"ImageSet({len(self)} images{classes})"

    @property
    def files(self) -> list[Path] | None:
        """The n files, or None where the images are no files."""
        if not isinstance(self._reader, Files):
            return None
        return [self._reader.paths[item] for item in self._items.tolist()]

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """(n,) int64 indices into ``classes``, or None where nothing tells them.

        Of a data set of pairs without ``targets`` they are noted as its images are read; those that were not
        read yet are now, and unreadable ones get -1.
        """
        if self._labels is None:
            self._labels = self._reader.labels(self._items)
        return self._labels

    def read(self, item: int) -> "Image":
        """Read one image as a Pillow image of mode RGB.

        Grey, palette and sixteen-bit pictures are converted, transparent ones laid over white, and the
        camera's orientation tag is obeyed: :func:`diptych.embed.rgb.to_rgb`.

        Raises:
            UnreadableImageError: The file is missing, may not be read or is damaged, or it is no picture.
            OSError: The machine failed (too many open files, an input/output error).
        """
        try:
            return self._reader.read(int(self._items[item]))
        except Exception as error:
            # Pillow and data sets have many kinds of error for a damaged file; the user needs its name.
            if not is_of_the_image(error):
                raise
            reason = str(error) or type(error).__name__
            raise UnreadableImageError(f"{self.ids[item]}: {reason}") from error

    def take(self, items: Any) -> "ImageSet":
        """The images with these indices (or this mask), in this order."""
        chosen = np.arange(len(self))[np.asarray(items)]
        return ImageSet(
            self._reader,
            self._items[chosen],
            self.ids[chosen],
            None if self._labels is None else self._labels[chosen],
            self.classes,
            names=None if self.names is None else self.names[chosen],
            notes=self.notes,
        )

    def relabelled(self, labels: NDArray[np.int64], classes: Sequence[str] | None) -> "ImageSet":
        """The same images with other labels, (n,) indices into these names of classes."""
        return ImageSet(
            self._reader,
            self._items,
            self.ids,
            labels,
            None if classes is None else tuple(classes),
            names=self.names,
            notes=self.notes,
        )

    def noted(self, *notes: str) -> "ImageSet":
        """The same images with further notes."""
        noted = self.take(np.arange(len(self)))
        noted.notes += notes
        return noted

    def fingerprint(self, *, progress: bool = False) -> str:
        """Hash the images' content and order: 32 hexadecimal digits.

        Of files their bytes count, not their names or times; of arrays the pixels; of a data set the RGB
        pictures it gives. BLAKE2b of every image, then of those digests, in torch's number of threads. It is
        computed once: images that change while they are in use are not noticed.

        Args:
            progress: Show a bar when it takes longer than two seconds.

        Complexity:
            A pass over the bytes; 1 MiB of memory a thread.
        """
        if self._fingerprint is None:
            whole = hashlib.blake2b(f"{len(self)}".encode(), digest_size=DIGEST_BYTES)
            for digest in _each(self._digest, len(self), "hashing the images", progress):
                whole.update(digest)
            self._fingerprint = whole.hexdigest()
        return self._fingerprint

    def _digest(self, item: int) -> bytes:
        try:
            return self._reader.digest(int(self._items[item]))
        except Exception as error:
            # Reading it will fail as well, and say why.
            if not is_of_the_image(error):
                raise
            return b"unreadable".ljust(DIGEST_BYTES)


def check_images(images: ImageSet, *, progress: bool = False) -> tuple[ImageSet, Unreadable]:
    """Read every image once, and keep those that can be read.

    For work that chooses among images before models see them; :func:`diptych.embed.activations` skips
    unreadable ones by itself.

    Args:
        images: The images.
        progress: Show a bar when it takes longer than two seconds.

    Returns:
        The readable images, and what was skipped.

    Raises:
        ValueError: None can be read.
    """

    def reason(item: int) -> str | None:
        try:
            images.read(item)
        except UnreadableImageError as error:
            return str(error.__cause__ or error)
        return None

    found = list(_each(reason, len(images), "reading the images", progress))
    bad = {str(name): why for name, why in zip(images.ids, found, strict=True) if why is not None}
    report = Unreadable(len(images), bad)
    report.demand_some()
    return images.take([why is None for why in found]), report


def _each(work: Callable[[int], _Got], n: int, name: str, progress: bool) -> Iterator[_Got]:
    """What work gives for 0 to n - 1, in order, in torch's number of threads."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        # A block at a time: millions of tasks in the pool's queue would take more room than the ids.
        for start in track(range(0, n, _BLOCK), name, shown=progress):
            yield from pool.map(work, range(start, min(start + _BLOCK, n)))
