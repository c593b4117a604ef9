"""Writing the report of a run over many classes: its patches are cut from the images again."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych._text import some
from diptych.embed import ImageModel, Seen, open_images
from diptych.embed.images import ImagesLike
from diptych.plots.collage import Crops
from diptych.report.rsvc_write import write_rsvc
from diptych.rsvc.model_pair import patch_grid
from diptych.rsvc.results import RSVCResult
from diptych.rsvc.run_result import RunResult


def write_rsvc_run(
    result: RunResult,
    path: str | os.PathLike[str],
    *,
    images: "ImagesLike | None" = None,
    model: ImageModel | None = None,
    **options: Any,
) -> Path:
    """Make a folder with a page that shows what a run found, over all of its classes.

    As :func:`diptych.report.write_rsvc` of all results. Patches are shown as ``model`` is shown them, and the
    neurons that concepts are told from where the run's store of activations is still there.

    Args:
        result: The run.
        path: The folder to make.
        images: The images of the run; without them patches are shown by number.
        model: A model of the run, to resize and crop the images as it does.
        **options: ``shown``, ``figures``, ``command``, ``overwrite``, ``title``, ``descriptions``,
            ``described_by`` and ``progress``, as :func:`diptych.report.write_rsvc` takes them;
            :func:`run_patches` makes the pictures that concepts are described by.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``path`` exists and is not to be replaced.
        ValueError: No class was compared, images without model or model without images, images that are not
            those of the run, a damaged result.
    """
    if not len(result):
        raise ValueError("result: expected a run with a class that was compared, found none")
    if (images is None) != (model is None):
        raise ValueError("images, model: expected both or neither, found one alone")
    patches = None
    if images is not None and model is not None:
        patches = run_patches(result, images, model)
    neurons = _ByClass(result, result.activations) if result.stored else None
    return write_rsvc(result, path, patches=patches, activations=neurons, notes=_notes(result), **options)


def run_patches(result: RunResult, images: ImagesLike, model: ImageModel) -> Mapping[str, Crops]:
    """The patches that each class of a run was measured on, cut from the images when they are asked for.

    Args:
        result: The run.
        images: Its images.
        model: A model of the run, to resize and crop the images as it does.

    Returns:
        Pictures by class and patch, as :func:`diptych.report.write_rsvc` and
        :func:`diptych.rsvc.words.describe_concepts` take them. A class whose images are not among ``images``
        is a ValueError when it is asked for.
    """
    source = open_images(images)
    places = {name: item for item, name in enumerate(source.ids.tolist())}
    return _ByClass(result, partial(_crops, Seen(model, source), places))


class _ByClass(Mapping[str, Any]):
    """Something of each class that was compared, made from its result when it is asked for."""

    def __init__(self, result: RunResult, make: Callable[[RSVCResult], Any]) -> None:
        self._result, self._make = result, make
        self._names = set(result)

    def __getitem__(self, name: str) -> Any:
        return self._make(self._result[name])

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._result)

    def __len__(self) -> int:
        return len(self._result)


class _Some(Sequence[NDArray[np.uint8]]):
    """Some of the images as a model is shown them."""

    def __init__(self, seen: Seen, items: Sequence[int]) -> None:
        self._seen, self._items = seen, items

    def __getitem__(self, item: Any) -> Any:
        return self._seen[self._items[item]]

    def __len__(self) -> int:
        return len(self._items)


def _crops(seen: Seen, places: Mapping[str, int], result: RSVCResult) -> Crops:
    """The patches that a class was measured on, in their order."""
    grid = patch_grid(result.parameters.conventions)
    names = result.groups[:: len(grid)].tolist()
    missing = [name for name in names if name not in places]
    if missing:
        raise ValueError(f"images: expected those of the run, found no {missing[0]!r}")
    pictures = _Some(seen, [places[name] for name in names])
    height, width = pictures[0].shape[:2]
    return Crops(pictures, grid.boxes(height, width))


def _notes(result: RunResult) -> list[str]:
    """What the run says of itself, and what it left out."""
    found = list(result.notes)
    for left_out, what in ((result.skipped, "classes"), (result.unreadable, "images")):
        if left_out:
            named = some((f"{name} ({why})" for name, why in left_out.items()), separator="; ")
            found.append(f"Left out of the {what}: {named}.")
    return found
