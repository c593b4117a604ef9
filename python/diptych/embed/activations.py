"""What the layers of a model put out for images: several layers in one forward pass, to disk and back."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.embed.activation_store import ActivationStore, Entry
from diptych.embed.embedding import StoredEmbedding, open_embedding
from diptych.embed.forward import Job, compute
from diptych.embed.image_sources import open_images
from diptych.embed.images import ImagesLike, Unreadable
from diptych.embed.layers import LOGITS, LayersLike, resolve_layers
from diptych.embed.models import ImageModel, load_model
from diptych.embed.patches import PatchGrid
from diptych.embed.pooling import Pooling, check_pooling
from diptych.embed.reading import reader_threads

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Activations(Mapping[str, NDArray[np.float32]]):
    """Activations of some layers for m images; a mapping from layers to arrays.

    ``activations[layer]`` is (m, d) float32, or (m, p, c) for patch tokens; with concept proposals it has
    ``rows_per_image`` rows for each image, one image after the other. From a store it is mapped read-only.

    Attributes:
        indices: (m,) int64 indices of the images that were read, ascending: all but the unreadable.
        ids: (m,) str, their ids.
        labels: (m,) int64 class indices, or None.
        classes: Names of the classes, or None.
        unreadable: The images that were skipped.
        rows_per_image: 1, or the number of patches.
        pooling: What the pooling turned out to be, by layer: "mean", "cls", "patches", "flatten", "none".
        paths: The .npy file of each layer in the store; empty without a store.
    """

    indices: NDArray[np.int64]
    ids: NDArray[Any]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] | None
    unreadable: Unreadable
    rows_per_image: int
    pooling: dict[str, str]
    paths: dict[str, Path]
    _arrays: dict[str, NDArray[np.float32]] = field(repr=False)

    def __getitem__(self, layer: str) -> NDArray[np.float32]:
        return self._arrays[layer or LOGITS]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def stored(self, layer: str) -> StoredEmbedding:
        """Open a layer's file as :func:`diptych.embed.open_embedding` does, to be read in pieces.

        Raises:
            KeyError: No such layer, or no store.
        """
        return open_embedding(self.paths[layer or LOGITS])

    def predicted(self) -> NDArray[np.int64]:
        """The class of the largest logit of each row, (m,); ``layers`` must have had "logits"."""
        return self[LOGITS].argmax(1).astype(np.int64)


def activations(
    model: ImageModel | str,
    images: ImagesLike,
    layers: LayersLike,
    *,
    pooling: Pooling = "auto",
    proposals: PatchGrid | None = None,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    store: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Activations:
    """Compute the activations of some layers of a model, all of them in one forward pass of each image.

    With a store nothing is computed twice: layers that are there are opened, the others computed and written
    as they come, and a run that was killed goes on where it stopped. The store's key is the weights, the
    content and order of the images, the preprocessing, the precision and the proposals. Whether float32
    means tf32 on a GPU is torch's own setting.

    Args:
        model: From :func:`diptych.embed.load_model`, or a name that it takes. It is run in evaluation mode,
            without gradients.
        images: As :func:`diptych.embed.open_images` takes them. Those that cannot be read are skipped, and
            told in the result.
        layers: Module paths, "logits" (or "") for the output, "embedding" for what enters the classifier,
            and names of sets: :func:`diptych.embed.layer_names`, :func:`diptych.embed.layer_set`.
        pooling: "auto" (mean over the places of feature maps; the class token of transformers, without one
            the mean of the patch tokens), "mean", "cls", "patches" (every place, or patch token) or
            "flatten": :func:`diptych.embed.pooling.pooled` has the table.
        proposals: Show the model these patches of every preprocessed image, resized to its size, instead of
            the image.
        batch_size: Images (or patches) in a forward pass.
        device: Where to compute; the model is moved there and stays. Where the model is by default.
        precision: "bfloat16" and "float16" run under autocast; activations are kept in float32.
        store: Folder of a store; without one activations stay in memory.
        workers: Threads that read and preprocess images; up to four by default.
        progress: Show a bar when it takes longer than two seconds.

    Returns:
        The activations.

    Complexity:
        A forward pass of every image; with a store a pass over the images' bytes and the weights, and a batch
        of activations in memory.

    Raises:
        FileNotFoundError: There is no such folder of images.
        OSError: Too little room for the store.
        TypeError: A layer puts out something else than one floating-point tensor, or the preprocessing no
            tensor.
        ValueError: A layer that does not exist (the nearest are offered) or is called several times in a
            pass, NaN or Inf (layer and image are named), preprocessed images of different sizes, no image
            that can be read, a pooling that a layer has not, a store and preprocessing that cannot be named.
    """
    _check(pooling, precision, batch_size, workers)
    network = load_model(model) if isinstance(model, str) else model
    job = Job(
        network,
        open_images(images),
        pooling,
        proposals,
        batch_size,
        moved(network, device),
        precision,
        reader_threads(workers),
        progress,
    )
    wanted = resolve_layers(network, layers)
    if store is None:
        memory = _MemoryRun(job)
        compute(job, wanted, memory)
        return _result(job, memory.entries())
    place = ActivationStore(store, network.name, job.key())
    entries = {layer: place.find(layer, pooling) for layer in wanted}
    if not all(entries.values()):
        with place.writing():
            entries = _filled(job, wanted, place)
    found = {layer: entry for layer, entry in entries.items() if entry is not None}
    return _result(job, found)


@dataclass(frozen=True)
class _InMemory:
    """What an :class:`Entry` is to a store, without one."""

    applied: str
    unreadable: dict[int, str]
    array: NDArray[np.float32]
    path: None = None

    def open(self) -> NDArray[np.float32]:
        return self.array


class _MemoryRun:
    """Rows that stay in memory."""

    def __init__(self, job: Job) -> None:
        self.done, self.unreadable, self.applied = 0, dict[int, str](), dict[str, str]()
        self._rows = len(job.images) * job.rows_per_image
        self._arrays: dict[str, NDArray[np.float32]] = {}
        self._filled = 0

    def append(self, outputs: Mapping[str, NDArray[np.float32]], done: int) -> None:
        for layer, rows in outputs.items():
            if layer not in self._arrays:
                self._arrays[layer] = np.empty((self._rows, *rows.shape[1:]), np.float32)
            self._arrays[layer][self._filled : self._filled + len(rows)] = rows
        self._filled += len(next(iter(outputs.values()))) if outputs else 0
        self.done = done

    def entries(self) -> dict[str, _InMemory]:
        return {
            layer: _InMemory(self.applied[layer], self.unreadable, array[: self._filled])
            for layer, array in self._arrays.items()
        }


def _filled(job: Job, wanted: Sequence[str], place: ActivationStore) -> dict[str, Entry | None]:
    """Compute what the store lacks; another process may have done so meanwhile."""
    entries = {layer: place.find(layer, job.pooling) for layer in wanted}
    missing = [layer for layer, entry in entries.items() if entry is None]
    if missing:
        run = place.run(missing, job.pooling, len(job.images))
        try:
            compute(job, missing, run)
        except BaseException:
            run.leave()
            raise
        run.finish()
    return {layer: place.find(layer, job.pooling) for layer in wanted}


def _result(job: Job, entries: Mapping[str, Entry | _InMemory]) -> Activations:
    """Put the layers together with the images they belong to."""
    skipped = next(iter(entries.values())).unreadable
    for layer, entry in entries.items():
        if entry.unreadable.keys() != skipped.keys():
            raise ValueError(
                f"store: {layer!r} was computed for other images than {next(iter(entries))!r}, as "
                f"{len(entry.unreadable)} and {len(skipped)} could not be read then; remove {entry.path}"
            )
    indices = np.array([item for item in range(len(job.images)) if item not in skipped], np.int64)
    images = job.images
    return Activations(
        indices=indices,
        ids=images.ids[indices],
        labels=None if images.labels is None else images.labels[indices],
        classes=images.classes,
        unreadable=Unreadable(len(images), {str(images.ids[item]): why for item, why in skipped.items()}),
        rows_per_image=job.rows_per_image,
        pooling={layer: entry.applied for layer, entry in entries.items()},
        paths={layer: entry.path for layer, entry in entries.items() if entry.path is not None},
        _arrays={layer: entry.open() for layer, entry in entries.items()},
    )


def _check(pooling: str, precision: str, batch_size: int, workers: int | None) -> None:
    check_pooling(pooling)
    if precision not in get_args(Precision):
        known = ", ".join(map(repr, get_args(Precision)))
        raise ValueError(f"precision: expected one of {known}, found {precision!r}")
    for name, value in (("batch_size", batch_size), ("workers", workers)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: expected at least 1, found {value}")


def moved(model: ImageModel, device: str | torch.device | None) -> torch.device:
    """Where the model is to compute; it is moved there.

    Raises:
        ValueError: There is no such device.
    """
    if device is None:
        return model.device
    try:
        model.module.to(device)
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: cannot compute on {device!r}: {error}") from error
