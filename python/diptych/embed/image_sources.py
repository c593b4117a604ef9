"""Where images come from: a folder, a list of files, an array or a torch data set."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._files import is_image_name, natural_key
from diptych.embed._extras import require
from diptych.embed.image_readers import Dataset, Files, Pixels, Reader, ShrunkFiles
from diptych.embed.images import ImageSet, ImagesLike
from diptych.embed.mapped import Mapped, is_mapped


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
