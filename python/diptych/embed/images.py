"""The images that models are shown: a folder, a list of files, an array or a torch data set."""

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

from diptych._files import is_image_name, natural_key
from diptych._progress import track
from diptych.embed._extras import require
from diptych.embed.image_readers import (
    DIGEST_BYTES,
    Dataset,
    Files,
    Pixels,
    Reader,
    ShrunkFiles,
    is_of_the_image,
)
from diptych.embed.mapped import Mapped, is_mapped

if TYPE_CHECKING:
    from PIL.Image import Image

#: Images: a folder, a list of paths, an array (n, h, w) or (n, h, w, c) of uint8, a torch data set.
ImagesLike: TypeAlias = "ImageSet | str | os.PathLike[str] | Sequence[Any] | NDArray[Any] | torch.Tensor"

_SHOWN = 5
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
        named = [f"{name} ({reason})" for name, reason in list(self.reasons.items())[:_SHOWN]]
        more = f" and {len(self) - _SHOWN} more" if len(self) > _SHOWN else ""
        return f"{len(self)} of {self.n} images could not be read and were skipped: {', '.join(named)}{more}"

    def demand_some(self) -> None:
        """Refuse to go on where nothing could be read.

        Raises:
            ValueError: All of the images were skipped.
        """
        if self.n == len(self):
            raise ValueError(f"images: none could be read: {self}")


class ImageSet:
    """n images, read when they are asked for; made by :func:`open_images`.

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


def open_images(source: ImagesLike, *, labels: Sequence[int] | NDArray[Any] | None = None) -> ImageSet:
    """Make images ready to be read; no file is opened yet.

    Args:
        source: One of:

            - a folder with a folder for each class, as ImageNet is laid out: the classes are the sorted names
              of its folders (as torchvision numbers them), images may lie deeper inside;
            - a folder of images, in natural order of their names (2 before 10);
            - a list of paths;
            - an array or tensor (n, h, w), (n, h, w, 1), (n, h, w, 3) or (n, h, w, 4) of uint8;
            - a torch data set of (image, label) pairs or of images, where an image is a Pillow image or
              uint8 pixels: give it without its transform, for each model brings its own.

            Which files are images is told by their ending; hidden ones do not count.
        labels: (n,) class indices, instead of those that the source tells.

    Returns:
        The images.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        TypeError: Another kind of source, pixels that are not uint8.
        ModuleNotFoundError: Pillow is not installed.
        ValueError: A folder that holds images beside folders of images, an array of another shape, no
            images, or not one label per image.
    """
    require("PIL")
    images = source if isinstance(source, ImageSet) else _opened(source)
    if not len(images):
        raise ValueError("images: expected at least one, found none")
    if labels is None:
        return images
    given = np.asarray(labels)
    if given.shape != (len(images),) or given.dtype.kind not in "iu":
        raise ValueError(
            f"labels: expected {len(images)} whole numbers, one per image, found shape {given.shape} "
            f"of {given.dtype}"
        )
    return images.relabelled(given.astype(np.int64), images.classes)


def image_files(
    folder: Path,
    names: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    *,
    longest_side: int | None = None,
    shown_as: Sequence[str] | None = None,
) -> ImageSet:
    """The images that a data set lists.

    Args:
        folder: Where they are.
        names: Path of each, relative to the folder: its id.
        labels: Class index of each.
        classes: Names of the classes.
        longest_side: Pixels to which the longest side of larger images is shrunk; None to leave them.
        shown_as: What a report calls each.
    """
    paths = [folder / name for name in names]
    files = Files(paths) if longest_side is None else ShrunkFiles(paths, longest_side)
    images = _image_set(files, list(names), np.array(labels, np.int64), tuple(classes))
    images.names = None if shown_as is None else np.array(shown_as, dtype=str)
    return images


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


def _opened(source: Any) -> ImageSet:
    if isinstance(source, str | os.PathLike):
        return _of_folder(Path(source))
    if isinstance(source, np.ndarray | torch.Tensor):
        return _of_array(source)
    if isinstance(source, list | tuple):
        if not all(isinstance(path, str | os.PathLike) for path in source):
            raise TypeError("images: expected a list of paths, found other things in it")
        paths = [Path(path) for path in source]
        return _image_set(Files(paths), [os.fspath(path) for path in source])
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return _of_dataset(source)
    raise TypeError(
        "images: expected a folder, a list of paths, an array of uint8 or a torch data set of known length, "
        f"found {type(source).__name__}"
    )


def _image_set(
    reader: Reader,
    ids: list[str],
    labels: NDArray[np.int64] | None = None,
    classes: tuple[str, ...] | None = None,
) -> ImageSet:
    names = np.array(ids, dtype=str)
    return ImageSet(reader, np.arange(len(ids), dtype=np.int64), names, labels, classes)


def _of_folder(folder: Path) -> ImageSet:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of images")
    with os.scandir(folder) as entries:
        inside = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
    flat = sorted((name for name, is_dir in inside if not is_dir and is_image_name(name)), key=natural_key)
    # Sorted by code points, not naturally: the order in which torchvision numbers the classes.
    classes = sorted(name for name, is_dir in inside if is_dir)
    deep = [images_under(folder, name) for name in classes]
    if not flat and not any(deep):
        raise FileNotFoundError(f"{folder}: no image in this folder or in those inside it")
    if flat and any(deep):
        raise ValueError(
            f"{folder}: expected images or folders of images, one for each class, found both: {flat[0]} and "
            f"{next(names[0] for names in deep if names)}"
        )
    if flat:
        return _image_set(Files([folder / name for name in flat]), flat)
    names = [name for of_class in deep for name in of_class]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(of_class) for of_class in deep])
    return _image_set(Files([folder / name for name in names]), names, labels, tuple(classes))


def images_under(folder: Path, name: str) -> list[str]:
    """Paths of the images in a folder's folder, however deep, relative to the former; in natural order."""
    found = []
    for where, folders, files in os.walk(folder / name):
        folders[:] = [each for each in folders if not each.startswith(".")]
        found += [Path(where, file).relative_to(folder).as_posix() for file in files if is_image_name(file)]
    return sorted(found, key=natural_key)


def _of_array(array: NDArray[Any] | torch.Tensor) -> ImageSet:
    shape = tuple(array.shape)
    if array.dtype not in (np.uint8, torch.uint8):
        raise TypeError(f"images: expected an array of uint8, 0 to 255, found {array.dtype}")
    if len(shape) != 3 and not (len(shape) == 4 and shape[3] in (1, 3, 4)):
        raise ValueError(
            f"images: expected shape (n, h, w), (n, h, w, 3) or (n, h, w, 4), found {shape}; channels go last"
        )
    pixels = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
    read = Mapped("images", pixels).entry if is_mapped(pixels) else pixels.__getitem__
    return _image_set(Pixels(read), [str(item) for item in range(len(pixels))])


def _of_dataset(dataset: Any) -> ImageSet:
    """A map-style data set; its ``targets`` and ``classes``, as torchvision's have them, spare a pass."""
    n, targets, classes = len(dataset), getattr(dataset, "targets", None), getattr(dataset, "classes", None)
    labels = None if targets is None else np.asarray(targets)
    if labels is not None and (labels.shape != (n,) or labels.dtype.kind not in "iu"):
        labels = None
    return _image_set(
        Dataset(dataset),
        [str(item) for item in range(n)],
        None if labels is None else labels.astype(np.int64),
        tuple(map(str, classes)) if isinstance(classes, list | tuple) else None,
    )
