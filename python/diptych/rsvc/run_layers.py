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

from diptych._build import versions
from diptych._checkpoint import JOB, Checkpoint, check_folder
from diptych._progress import track
from diptych.embed import Activations, ImageModel, ImageSet, PatchGrid, Unreadable, activations, open_images
from diptych.embed.activations import Precision
from diptych.embed.checkpoints import weights_hash
from diptych.embed.images import ImagesLike
from diptych.embed.layers import LOGITS, LayersLike, resolve_layers
from diptych.embed.models import load_model
from diptych.ops import _checks
from diptych.rsvc.concepts import MAX_CONCEPTS
from diptych.rsvc.layer_concepts import layer_coefficients
from diptych.rsvc.layers_result import LAYERS, LayersClass, LayersResult, defined_mean
from diptych.rsvc.replacement import CONVENTIONS
from diptych.rsvc.selection import (
    LEAST_IMAGES,
    ClassImages,
    choose_images,
    members,
    names_apart,
    names_of_classes,
    predicted_classes,
    too_few,
    wanted_classes,
)
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
    job = _Job(
        models=(first, second),
        layers=(_layers(first, layers_1, "layers_1"), _layers(second, layers_2, "layers_2")),
        images=open_images(images),
        options=options,
        showing={
            "batch_size": batch_size,
            "device": device,
            "precision": precision,
            "workers": workers,
        },
        cache=None if cache is None else Path(cache),
        folder=folder,
        progress=progress,
    )
    asked = {"classes": classes, "class_names": class_names}
    described = job.described() | {
        key: None if x is None else [str(each) for each in x] for key, x in asked.items()
    }
    began = (folder / JOB).is_file()
    checkpoint = Checkpoint(folder, described, {}, resume=resume)
    if (folder / LAYERS).is_file():
        return LayersResult.load(folder)
    try:
        plan = _planned(job, classes, class_names)
    except (TypeError, ValueError):
        # What was asked for cannot be: the folder is left to another try.
        if not began:
            (folder / JOB).unlink()
        raise
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

    models: tuple[ImageModel, ImageModel]
    layers: tuple[list[str], list[str]]
    images: ImageSet
    options: _Options
    showing: dict[str, Any]  #: options of the forward passes
    cache: Path | None
    folder: Path
    progress: bool

    @property
    def called(self) -> tuple[str, str]:
        """Names of the models, told apart where they are the same."""
        return names_apart(self.models[0].name, self.models[1].name)

    def described(self) -> dict[str, Any]:
        """All that the result depends on, as JSON can hold it."""
        told: dict[str, Any] = {"workflow": "rsvc layers", "diptych": versions()["diptych"]}
        for side, (model, layers) in enumerate(zip(self.models, self.layers, strict=True), start=1):
            told |= {
                f"model_{side}": model.name,
                f"weights_{side}": weights_hash(model.module),
                f"preprocessing_{side}": model.preprocess_name,
                f"layers_{side}": layers,
            }
        return told | {
            "images": self.images.fingerprint(progress=self.progress),
            "images_per_class": self.options.images_per_class,
            "k": self.options.k,
            "conventions": self.options.conventions,
            "seed": self.options.seed,
            "precision": self.showing["precision"],
        }

    def logits(self, side: int) -> Activations:
        """What one of the networks takes the images for."""
        store = self.folder / _STORE if self.cache is None else self.cache
        return activations(
            self.models[side], self.images, LOGITS, store=store, progress=self.progress, **self.showing
        )

    def patches(self, side: int, images: ImageSet) -> Activations:
        """The layers of one of the networks on the patches of some images."""
        published = self.options.conventions == "published-code"
        found = activations(
            self.models[side],
            images,
            self.layers[side],
            proposals=PatchGrid(conventions="published-code" if published else "whole-image"),
            store=self.cache,
            progress=False,
            **self.showing,
        )
        if len(found.unreadable):
            raise ValueError(f"images: some could be read before and cannot be now: {found.unreadable}")
        return found

    def device(self) -> torch.device:
        """Where to compare: where the models are."""
        if self.showing["device"] is not None:
            return torch.device(self.showing["device"])
        weight = next(self.models[0].module.parameters(), None)
        return torch.device("cpu") if weight is None else weight.device


@dataclass(frozen=True)
class _Plan:
    """The classes of a run."""

    names: list[str]  #: of all logits
    chosen: list[ClassImages]
    skipped: list[LayersClass]
    silent: int  #: classes that neither network predicts
    unreadable: Unreadable


def _planned(job: _Job, classes: Sequence[int | str] | None, class_names: Sequence[str] | None) -> _Plan:
    """Find which images each network takes for which class, and choose among them."""
    logits = job.logits(0), job.logits(1)
    predicted = predicted_classes(logits, len(job.images), job.called)
    names = names_of_classes(job.images, logits[0][LOGITS].shape[1], class_names)
    options, chosen, skipped = job.options, [], []
    for number in wanted_classes(classes, predicted, names):
        of_class = members(predicted, number)
        reason = too_few(of_class, job.called, options.least)
        if reason is not None:
            counted = len(of_class[0]), len(of_class[1])
            skipped.append(LayersClass(number, names[number], *counted, skipped=reason))
            continue
        chosen.append(
            choose_images(
                of_class,
                number,
                extraction=options.images_per_class,
                evaluation=0,
                least=options.least,
                seed=options.seed,
            )
        )
    silent = 0 if classes is not None else len(names) - len(chosen) - len(skipped)
    return _Plan(names, chosen, skipped, silent, logits[0].unreadable)


def _compared(job: _Job, chosen: ClassImages) -> dict[str, NDArray[np.float64]]:
    """Compare all pairs of layers on the images of a class; the arrays of :class:`LayersResult`."""
    images = job.images.take(chosen.training)
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
    acts, device = job.patches(side, images), job.device()
    # A store's arrays are read-only, which tensors cannot be.
    layers = [
        torch.from_numpy(np.require(acts[layer], requirements=["C", "W"])).to(device)
        for layer in job.layers[side]
    ]
    rows = torch.from_numpy(np.repeat(own, acts.rows_per_image)).to(device)
    return layer_coefficients(layers, rows, job.options.k, job.options.seed)


def _gathered(job: _Job, plan: _Plan, checkpoint: Checkpoint) -> LayersResult:
    """Put the classes together."""
    rows, shape = list(plan.skipped), (len(job.layers[0]), len(job.layers[1]))
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
        for side, name in enumerate(job.called)
        for note in _without_concepts(name, job.layers[side], arrays[f"errors_{side + 1}"])
    ]
    if plan.silent:
        notes.append(f"{plan.silent} of {len(plan.names)} classes are predicted by neither network.")
    return LayersResult(
        folder=job.folder,
        names=job.called,
        layers_1=job.layers[0],
        layers_2=job.layers[1],
        classes=rows,
        images=len(job.images),
        unreadable=plan.unreadable.reasons,
        notes=notes,
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
