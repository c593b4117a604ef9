"""Showing images to a model: batches, forward passes, checks of what comes out."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._progress import Stages
from diptych.embed.checkpoints import weights_hash
from diptych.embed.images import ImageSet, Unreadable
from diptych.embed.models import ImageModel
from diptych.embed.patches import PatchGrid, concept_patches
from diptych.embed.reading import read_ahead, stacked
from diptych.embed.recorder import Recorder


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
        autocast(job.device, job.precision),
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


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Mixed precision, if it is asked for."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def _loaded(job: Job, chunks: Sequence[range]) -> Generator[list[torch.Tensor | str]]:
    """Preprocessed images of each chunk, or why one cannot be read."""
    return read_ahead(job.images, lambda image, _: job.model.preprocess(image), chunks, job.workers)


def _batch(job: Job, tensors: Mapping[int, torch.Tensor]) -> torch.Tensor:
    batch = stacked(job.images, tensors, job.model.module, job.device)
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
