"""Showing images to a model: reading them ahead, batches, forward passes, checks of what comes out."""

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._progress import Stages
from diptych.embed.checkpoints import weights_hash
from diptych.embed.images import ImageSet, Unreadable, UnreadableImageError
from diptych.embed.models import ImageModel
from diptych.embed.patches import PatchGrid, concept_patches
from diptych.embed.recorder import Recorder

# Chunks of images that are read while one is computed.
_AHEAD = 2


class Run(Protocol):
    """Takes rows of activations, batch by batch."""

    done: int
    unreadable: dict[int, str]
    applied: dict[str, str]

    def append(self, outputs: Mapping[str, NDArray[np.float32]], done: int) -> None:
        """Add the rows of the images up to ``done``."""


@dataclass(frozen=True)
class Job:
    """A model, images, and how the one is shown the others."""

    model: ImageModel
    images: ImageSet
    pooling: str
    proposals: PatchGrid | None
    batch_size: int
    device: torch.device
    precision: str
    workers: int
    progress: bool

    @property
    def rows_per_image(self) -> int:
        """1, or the number of patches."""
        return 1 if self.proposals is None else len(self.proposals)

    def key(self) -> dict[str, Any]:
        """All that activations depend on, but the layer and its pooling."""
        model = self.model
        if model.preprocess_name is None:
            raise ValueError(
                f"preprocess_name: a store needs words for the preprocessing of {model.name}, whose own "
                f"{model.preprocess!r} changes from run to run; say them to load_model"
            )
        return {
            "weights": weights_hash(model.module),
            "images": self.images.fingerprint(progress=self.progress),
            "n": len(self.images),
            "preprocessing": model.preprocess_name,
            "precision": self.precision,
            "proposals": None if self.proposals is None else repr(self.proposals),
            "tokens": [model.prefix_tokens, model.class_token, model.channels_last, model.classifier],
        }

    def chunks(self, start: int) -> list[range]:
        """Images of each forward pass, from ``start`` on."""
        step, n = max(1, self.batch_size // self.rows_per_image), len(self.images)
        return [range(first, min(first + step, n)) for first in range(start, n, step)]


def compute(job: Job, layers: list[str], run: Run) -> None:
    """Run the model over the images that are left, and hand their rows to ``run``."""
    chunks, ids = job.chunks(run.done), job.images.ids
    name = f"activations of {job.model.name}"
    with (
        Stages({name: 1.0}, enabled=job.progress) as bar,
        closing(_loaded(job, chunks)) as loads,
        Recorder(job.model, layers, job.pooling) as recorder,
        torch.inference_mode(),
        _autocast(job),
    ):
        bar.enter(name)
        for chunk, loaded in zip(chunks, loads, strict=True):
            tensors = {i: got for i, got in zip(chunk, loaded, strict=True) if isinstance(got, torch.Tensor)}
            outputs: dict[str, NDArray[np.float32]] = {}
            if tensors:
                outputs = _numbers(job, recorder.run(_batch(job, tensors)), list(tensors))
                run.applied.update(recorder.applied)
            run.unreadable.update(
                {i: got for i, got in zip(chunk, loaded, strict=True) if isinstance(got, str)}
            )
            run.append(outputs, chunk.stop)
            bar.advance(1 / len(chunks))
    Unreadable(len(ids), {str(ids[item]): why for item, why in run.unreadable.items()}).demand_some()


def _autocast(job: Job) -> AbstractContextManager[Any]:
    """Mixed precision, if it is asked for."""
    if job.precision == "float32":
        return nullcontext()
    return torch.autocast(job.device.type, getattr(torch, job.precision))


def _loaded(job: Job, chunks: Sequence[range]) -> Generator[list[torch.Tensor | str]]:
    """Preprocessed images of each chunk, or why one cannot be read; later chunks are read meanwhile."""

    def load(item: int) -> torch.Tensor | str:
        try:
            image = job.images.read(item)
        except UnreadableImageError as error:
            return str(error.__cause__ or error)
        tensor = job.model.preprocess(image)
        if not isinstance(tensor, torch.Tensor) or tensor.ndim != 3 or not tensor.is_floating_point():
            found = tensor.shape if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise TypeError(
                f"preprocess: expected a floating-point tensor (c, h, w) of image {job.images.ids[item]}, "
                f"found {found}"
            )
        return tensor

    pool = ThreadPoolExecutor(job.workers)
    try:
        ahead: deque[list[Future[torch.Tensor | str]]] = deque()
        for chunk in chunks:
            ahead.append([pool.submit(load, item) for item in chunk])
            if len(ahead) > _AHEAD:
                yield [future.result() for future in ahead.popleft()]
        while ahead:
            yield [future.result() for future in ahead.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def _batch(job: Job, tensors: Mapping[int, torch.Tensor]) -> torch.Tensor:
    first = next(iter(tensors))
    for item, tensor in tensors.items():
        if tensor.shape != tensors[first].shape:
            ids = job.images.ids
            raise ValueError(
                f"preprocess: expected images of one size, found {tuple(tensors[first].shape)} for "
                f"{ids[first]} and {tuple(tensor.shape)} for {ids[item]}"
            )
    weight = next(job.model.module.parameters(), None)
    # A network in half precision takes images in half precision.
    dtype = weight.dtype if weight is not None and weight.is_floating_point() else tensors[first].dtype
    batch = torch.stack(list(tensors.values())).to(job.device, dtype)
    return batch if job.proposals is None else concept_patches(batch, job.proposals)


def _numbers(
    job: Job, outputs: Mapping[str, torch.Tensor], items: list[int]
) -> dict[str, NDArray[np.float32]]:
    """Bring activations to the CPU, and refuse those that are no numbers."""
    for layer, output in outputs.items():
        finite = output.flatten(1).isfinite().all(1)
        if not finite.all():
            row = int((~finite).nonzero()[0])
            image = job.images.ids[items[row // job.rows_per_image]]
            found = "NaN" if output[row].isnan().any() else "Inf"
            advice = "; float16 reaches 65504 only, bfloat16 farther" if job.precision == "float16" else ""
            raise ValueError(f"layer {layer!r} of {job.model.name}: found {found} for image {image}{advice}")
    return {layer: output.cpu().numpy() for layer, output in outputs.items()}
