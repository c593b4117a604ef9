"""Two models and images in, how alike the concepts of all pairs of their layers are out, in a folder."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._checkpoint import Checkpoint, check_folder, unless_refused
from diptych._progress import track
from diptych.embed import ImageModel, ImageSet, PatchGrid, open_images
from diptych.embed.activations import Precision
from diptych.embed.images import ImagesLike
from diptych.embed.layers import LayersLike, resolve_layers
from diptych.embed.models import load_model
from diptych.ops import _checks
from diptych.rsvc.concepts import MAX_CONCEPTS
from diptych.rsvc.layer_concepts import layer_coefficients
from diptych.rsvc.layers_result import LAYERS, LayersClass, LayersResult, defined_mean
from diptych.rsvc.model_pair import ModelPair, Plan, patch_grid, planned
from diptych.rsvc.replacement import CONVENTIONS
from diptych.rsvc.selection import LEAST_IMAGES, ClassImages
from diptych.rsvc.similarity import layerwise

# Folder of activations in that of the run.
_STORE = "activations"

# Of the files of finished classes, which go when the run is finished.
_PART = "class-"


def run_layers(
    model_1: ImageModel | str,
    model_2: ImageModel | str,
    images: ImagesLike,
    *,
    out: str | os.PathLike[str],
    layers_1: LayersLike = "rsvc",
    layers_2: LayersLike = "rsvc",
    classes: Sequence[int | str] | None = None,
    class_names: Sequence[str] | None = None,
    images_per_class: int = 50,
    k: int = 10,
    conventions: str = "default",
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    batch_size: int = 64,
    workers: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> LayersResult:
    """Compare the concepts of all pairs of layers of two image models (RSVC, thesis Fig. 3.6).

    Each network's logits group the images by the class it takes them for. Of every class 16 patches of the
    images of either network are shown to both. In each layer concepts are extracted from the patches of the
    network's own images (NMF, or semi-NMF where activations have signs) and their coefficients refit on all;
    :func:`diptych.rsvc.layerwise` compares all pairs of layers. The matrix is the mean over classes
    (Kondapaneni, Mac Aodha & Perona 2025, arXiv 2503.15699).

    A class that one network never predicts, or takes fewer than 5 images for, is skipped and told. A layer
    whose patches of a class all have the same activations has no concepts there, and NaN.

    Args:
        model_1: From :func:`diptych.embed.load_model`, or a name that it takes.
        model_2: The other, with as many logits, in the same order.
        images: As :func:`diptych.embed.open_images` takes them; unreadable ones are skipped and told.
        out: Folder for the results, made if need be: matrix.csv, (L1, L2) with the layers' names; layers.npz,
            what :meth:`LayersResult.load` reads; classes.csv; job.json.
        layers_1: Layers of model 1 as :func:`diptych.embed.activations` takes them, pooled as it does by
            itself (mean over places, or class token): a set by name (:func:`diptych.embed.layer_set`),
            module paths, or several of either.
        layers_2: The same of model 2.
        classes: Numbers or names of the classes to compare; all that either network predicts by default.
        class_names: Names of the logits; the images' own classes by default, if there are as many.
        images_per_class: Images of each network and class.
        k: Concepts of each layer and class.
        conventions: ``"published-code"`` takes the patches of the authors' code.
        seed: Of the choice of images and of the extraction.
        device: Where to compute; where the models are by default.
        precision: Of the forward passes, as :func:`diptych.embed.activations`.
        batch_size: Images or patches in a forward pass.
        workers: Threads that read images.
        cache: Folder of a store of activations, which several runs may share. Without one only the logits
            are kept, in ``out``/activations, and the patches' activations are forgotten with their class.
        resume: Go on with what ``out`` holds of this very run. A finished one is read again.
        progress: Show a progress bar with the expected end on stderr.

    Returns:
        :class:`LayersResult`; the same whether or not the run was stopped and resumed.

    Complexity:
        For a class of n images and layers of together d features: a forward pass of 16 n patches of each
        network, O(n d k) time per iteration of the factorisation. Memory about three times 64 n d bytes for
        the network of the larger d; 64 n d bytes on disk for both and each class with ``cache``. ResNet-18 by
        ResNet-50 on 1,000 classes of ImageNet (833 pairs, d of 3,904 and 22,720, n of 50 to 100): up to 1.6
        million patches, 0.5 GB of memory, and 170 GB on disk if they are to be kept; what comes after the
        forward passes takes about four seconds a class on one core.

    Raises:
        FileExistsError: ``out`` holds something and ``resume`` was not asked for.
        FileNotFoundError: There is no such folder of images.
        ModuleNotFoundError: timm is wanted and not installed.
        TypeError: As :func:`diptych.embed.activations`.
        ValueError: ``out`` holds another run (the message tells what differs) or a damaged file of one,
            models with different numbers of logits, an unknown class or layer (the nearest are offered), an
            option out of range, and as :func:`diptych.embed.activations`.
    """
    options = _checked_options(images_per_class, k, conventions, seed)
    folder = Path(out)
    again = "--resume, or LayersResult.load"
    check_folder(folder, resume, kind="run", finished=LAYERS, again=again, beside=_STORE)
    first, second = (load_model(each) if isinstance(each, str) else each for each in (model_1, model_2))
    pair = ModelPair(
        (first, second),
        open_images(images),
        {"batch_size": batch_size, "device": device, "precision": precision, "workers": workers},
        progress,
    )
    job = _Job(
        pair=pair,
        layers=(_layers(first, layers_1, "layers_1"), _layers(second, layers_2, "layers_2")),
        options=options,
        cache=None if cache is None else Path(cache),
        folder=folder,
    )
    asked = {"classes": classes, "class_names": class_names}
    described = job.described() | {
        key: None if x is None else [str(each) for each in x] for key, x in asked.items()
    }
    with unless_refused(folder):
        checkpoint = Checkpoint(folder, described, {}, resume=resume)
        if (folder / LAYERS).is_file():
            return LayersResult.load(folder)
        plan = planned(
            pair,
            classes,
            class_names,
            folder / _STORE if job.cache is None else job.cache,
            extraction=options.images_per_class,
            evaluation=0,
            least=options.least,
            seed=options.seed,
        )
    missing = [chosen for chosen in plan.chosen if checkpoint.load(_part(chosen)) is None]
    for chosen in track(missing, "comparing layers", shown=progress):
        checkpoint.save(_part(chosen), **_compared(job, chosen))
    result = _gathered(job, plan, checkpoint)
    result.save()
    checkpoint.remove(_PART)
    return result


@dataclass(frozen=True)
class _Options:
    images_per_class: int
    k: int
    conventions: str
    seed: int
    least: int  #: fewest images of a network and class


@dataclass(frozen=True)
class _Job:
    """What is compared, how, and where to."""

    pair: ModelPair
    layers: tuple[list[str], list[str]]
    options: _Options
    cache: Path | None  #: store of the patches' activations
    folder: Path

    def described(self) -> dict[str, Any]:
        """All that the result depends on, as JSON can hold it."""
        # What most tells other folders apart goes first: errors name the first difference.
        described = {"workflow": "rsvc layers"} | self.pair.described()
        return described | {
            "layers_1": self.layers[0],
            "layers_2": self.layers[1],
            "images_per_class": self.options.images_per_class,
            "k": self.options.k,
            "conventions": self.options.conventions,
            "seed": self.options.seed,
        }


def _compared(job: _Job, chosen: ClassImages) -> dict[str, NDArray[np.float64]]:
    """Compare all pairs of layers on the images of a class; the arrays of :class:`LayersResult`."""
    images = job.pair.images.take(chosen.training)
    # One network after the other: of the first only the coefficients stay in memory.
    (first, errors_1), (second, errors_2) = (
        _coefficients(job, side, images, own) for side, own in enumerate(chosen.own)
    )
    mmcs = {
        f"mmcs_{direction}": layerwise(first, second, direction=direction).double().cpu().numpy()
        for direction in ("1to2", "2to1")
    }
    return mmcs | {"errors_1": errors_1, "errors_2": errors_2}


def _coefficients(
    job: _Job, side: int, images: ImageSet, own: NDArray[np.bool_]
) -> tuple[list[torch.Tensor], NDArray[np.float64]]:
    """The concepts of a network's layers in the patches of some images, extracted from its own."""
    grid, device = patch_grid(job.options.conventions), job.pair.device
    acts = job.pair.show(side, images, job.layers[side], job.cache, proposals=grid, progress=False)
    # A store's arrays are read-only, which tensors cannot be.
    layers = [
        torch.from_numpy(np.require(acts[layer], requirements=["C", "W"])).to(device)
        for layer in job.layers[side]
    ]
    rows = torch.from_numpy(np.repeat(own, acts.rows_per_image)).to(device)
    return layer_coefficients(layers, rows, job.options.k, job.options.seed)


def _gathered(job: _Job, plan: Plan, checkpoint: Checkpoint) -> LayersResult:
    """Put the classes together."""
    shape = len(job.layers[0]), len(job.layers[1])
    rows = [
        LayersClass(number, plan.names[number], by_1, by_2, skipped=reason)
        for number, (by_1, by_2, reason) in plan.refused.items()
    ]
    arrays = {
        "mmcs_1to2": np.empty((len(plan.chosen), *shape)),
        "mmcs_2to1": np.empty((len(plan.chosen), *shape)),
        "errors_1": np.empty((len(plan.chosen), shape[0])),
        "errors_2": np.empty((len(plan.chosen), shape[1])),
    }
    for place, chosen in enumerate(plan.chosen):
        found = checkpoint.load(_part(chosen))
        assert found is not None
        for name, values in found.items():
            arrays[name][place] = values
        mean = float(defined_mean((found["mmcs_1to2"] + found["mmcs_2to1"]).ravel() / 2))
        name = plan.names[chosen.number]
        rows.append(LayersClass(chosen.number, name, *chosen.predicted, len(chosen.training), mean))
    rows.sort(key=lambda row: row.number)
    notes = [
        note
        for side, name in enumerate(job.pair.called)
        for note in _without_concepts(name, job.layers[side], arrays[f"errors_{side + 1}"])
    ]
    return LayersResult(
        folder=job.folder,
        names=job.pair.called,
        layers_1=job.layers[0],
        layers_2=job.layers[1],
        classes=rows,
        images=len(job.pair.images),
        unreadable=plan.unreadable,
        notes=notes + plan.notes(),
        **arrays,
    )


def _without_concepts(name: str, layers: Sequence[str], errors: NDArray[np.float64]) -> list[str]:
    """Sentences about layers that are constant in some classes."""
    counts = np.isnan(errors).sum(0)
    return [
        f"{name}: {layer!r} has no concepts in {count} of {len(errors)} classes, as all patches have the "
        "same activations there."
        for layer, count in zip(layers, counts.tolist(), strict=True)
        if count
    ]


def _checked_options(images_per_class: int, k: int, conventions: str, seed: int) -> _Options:
    """Refuse what is out of range; numpy's scalars become Python's, which JSON can hold."""
    _checks.integer("k", k, 1, MAX_CONCEPTS)
    # There are no more concepts than patches.
    least = max(LEAST_IMAGES, math.ceil(k / len(PatchGrid())))
    _checks.integer("images_per_class", images_per_class, least)
    _checks.one_of("conventions", conventions, CONVENTIONS)
    _checks.seed(seed)
    return _Options(int(images_per_class), int(k), conventions, int(seed), least)


def _layers(model: ImageModel, layers: LayersLike, name: str) -> list[str]:
    """The layers that an argument asks for; errors name the argument and the model."""
    if not isinstance(layers, Sequence):
        raise TypeError(f"{name}: expected names of layers or of a set, found {layers!r}")
    try:
        return resolve_layers(model, layers)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {model.name}: {error}") from error


def _part(chosen: ClassImages) -> str:
    return f"{_PART}{chosen.number:05d}"
