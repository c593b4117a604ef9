"""Two models and images in, a comparison of their concepts class by class out, in a folder."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diptych._checkpoint import JobFolder, check_folder, unless_refused
from diptych._files import atomic_path
from diptych._progress import track
from diptych._tables import load_pandas
from diptych.embed import (
    ImageModel,
    ImageSet,
    load_model,
    open_images,
)
from diptych.embed.activations import Precision
from diptych.embed.images import ImagesLike
from diptych.embed.layers import EMBEDDING, one_layer
from diptych.ops import _checks
from diptych.rsvc.heads import Head
from diptych.rsvc.method import checked_options
from diptych.rsvc.model_pair import ModelPair, Plan, patch_grid, planned
from diptych.rsvc.results import Parameters
from diptych.rsvc.run_classes import Patches, compare_all, outcome
from diptych.rsvc.run_result import COLUMNS, FORMATS, RUN, SHOWN, ClassRow, RunResult, compared_row
from diptych.rsvc.selection import LEAST_IMAGES, Indices

# Folder of activations in that of the run.
_STORE = "activations"


def run(
    model_1: ImageModel | str,
    model_2: ImageModel | str,
    images: ImagesLike,
    *,
    out: str | os.PathLike[str],
    layer_1: str = EMBEDDING,
    layer_2: str = EMBEDDING,
    classes: Sequence[int | str] | None = None,
    class_names: Sequence[str] | None = None,
    images_per_class: int = 100,
    eval_images_per_class: int = 50,
    k: int = 10,
    method: str = "auto",
    alpha: float = 0.1,
    folds: int = 5,
    conventions: str = "default",
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    batch_size: int = 64,
    workers: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    resume: bool = False,
    table_format: str = "csv",
    progress: bool = True,
) -> RunResult:
    """Compare two image models concept by concept, in every class that both predict.

    RSVC (Kondapaneni, Mac Aodha & Perona 2025, arXiv 2503.15699): each network's logits group the images by
    the class it takes them for; 16 patches of the images of either network are shown to both; concepts are
    extracted from each network's own images, refit on all, and compared as :func:`diptych.rsvc.compare`
    does. Figures are measured on other images where there are enough, else on held-out folds; classes.csv
    tells which.

    A class that one network never predicts, or takes fewer than 5 images (or folds) for, is skipped and told,
    and so is one whose activations are constant. Importance and the replacement test need a linear
    classifier behind the layer: they are made where the layer is "embedding", and left out elsewhere.

    Args:
        model_1: From :func:`diptych.embed.load_model`, or a name that it takes.
        model_2: The other, with as many logits, in the same order. Input sizes may differ: patches are
            resized to each.
        images: As :func:`diptych.embed.open_images` takes them. Those that cannot be read are skipped and
            told. Their own classes serve for names, and for the accuracy of the replacement test, where
            there are as many as logits.
        out: Folder for the results, made if need be: see :class:`RunResult`.
        layer_1: Layer of model 1 whose activations are explained: "embedding" is what enters the classifier;
            any module path.
        layer_2: The same of model 2.
        classes: Numbers or names of the classes to compare; all that either network predicts by default.
        class_names: Names of the logits.
        images_per_class: Images of each network and class that concepts are extracted from.
        eval_images_per_class: Other images of each that all figures are measured on; 0 measures on held-out
            folds.
        k: Concepts of each network and class.
        method: As :func:`diptych.rsvc.compare`; so the next two.
        alpha: Weight of the lasso's penalty.
        folds: Folds of images.
        conventions: ``"published-code"`` takes the patches and the replacement test of the authors' code.
        seed: Of the choice of images and of the extraction.
        device: Where to compute; where the models are by default.
        precision: Of the forward passes, as :func:`diptych.embed.activations`.
        batch_size: Images or patches in a forward pass.
        workers: Threads that read images.
        cache: Folder of the store of activations, which several runs may share; ``out``/activations by
            default.
        resume: Go on with what ``out`` holds of this very run. A finished one is read again.
        table_format: ``"csv"``, or ``"parquet"`` for both.
        progress: Show progress bars on stderr.

    Returns:
        :class:`RunResult`; the same whether or not the run was killed and resumed.

    Complexity:
        Forward passes of every image and of 16 patches of those that are chosen, at most 2 (images_per_class
        + eval_images_per_class) a class; the store keeps 64 d bytes of each chosen image and network.
        Memory: activations of 8 classes.

    Raises:
        FileExistsError: ``out`` holds something and ``resume`` was not asked for.
        FileNotFoundError: There is no such folder of images.
        ModuleNotFoundError: timm, pandas or pyarrow are wanted and not installed.
        TypeError: As :func:`diptych.embed.activations`.
        ValueError: ``out`` holds another run (the message tells what differs), models with different numbers
            of logits, an unknown class or layer (the nearest are offered), and as
            :func:`diptych.embed.activations` and :func:`diptych.rsvc.compare`.
    """
    options = checked_options(k, method, alpha, folds, conventions, seed)
    _checks.integer("images_per_class", images_per_class, max(LEAST_IMAGES, folds))
    _checks.integer("eval_images_per_class", eval_images_per_class, 0)
    _check_tables(table_format)
    folder = Path(out)
    check_folder(folder, resume, kind="run", finished=RUN, again="--resume, or RunResult.load", beside=_STORE)
    first, second = (load_model(each) if isinstance(each, str) else each for each in (model_1, model_2))
    pair = ModelPair(
        (first, second),
        open_images(images),
        {"batch_size": batch_size, "device": device, "precision": precision, "workers": workers},
        progress,
    )
    job = _Job(
        pair=pair,
        layers=(one_layer(first, layer_1, "layer_1"), one_layer(second, layer_2, "layer_2")),
        counts=(int(images_per_class), int(eval_images_per_class)),
        options=options,
        store=folder / _STORE if cache is None else Path(cache),
        folder=folder,
    )
    asked = {"classes": classes, "class_names": class_names}
    described = job.described() | {
        key: None if x is None else [str(each) for each in x] for key, x in asked.items()
    }
    with unless_refused(folder):
        JobFolder(folder, described, {}, resume=resume)
        plan = planned(
            pair,
            classes,
            class_names,
            job.store,
            extraction=job.counts[0],
            evaluation=job.counts[1],
            least=max(LEAST_IMAGES, options.folds),
            seed=options.seed,
        )
    stores = None
    if plan.chosen:
        patches = _patches(job, plan)
        stores = patches.stores()
        compare_all(plan.chosen, patches, job.heads(), options, pair.called, folder, progress=progress)
    _gathered(job, plan, stores).save(table_format)
    return RunResult.load(folder)


@dataclass(frozen=True)
class _Job:
    """What is compared, how, and where to."""

    pair: ModelPair
    layers: tuple[str, str]
    counts: tuple[int, int]  #: images of each network and class to extract from, and to measure on
    options: Parameters
    store: Path  #: of activations
    folder: Path

    def described(self) -> dict[str, Any]:
        """All that the result depends on, as JSON can hold it."""
        return self.pair.described() | {
            "layer_1": self.layers[0],
            "layer_2": self.layers[1],
            "images_per_class": self.counts[0],
            "eval_images_per_class": self.counts[1],
            **{key: x for key, x in asdict(self.options).items() if not key.startswith("target")},
        }

    def heads(self) -> tuple[Head | None, Head | None]:
        """The linear classifiers behind the layers, None behind others."""
        first, second = (
            model.head() if _has_head(model, layer) else None
            for model, layer in zip(self.pair.models, self.layers, strict=True)
        )
        return first, second


def _patches(job: _Job, plan: Plan) -> Patches:
    """Show both networks the patches of all chosen images."""
    pair, grid = job.pair, patch_grid(job.options.conventions)
    needed = np.unique(np.concatenate([x for each in plan.chosen for x in (each.training, each.evaluation)]))
    subset = pair.images.take(needed)
    first, second = (
        pair.show(side, subset, layer, job.store, proposals=grid) for side, layer in enumerate(job.layers)
    )
    with atomic_path(job.folder / SHOWN) as temporary, open(temporary, "wb") as file:
        np.save(file, subset.ids, allow_pickle=False)
    labels = _labels(pair.images, len(plan.names))
    return Patches((first, second), job.layers, needed, pair.images.ids, labels, pair.device)


def _gathered(job: _Job, plan: Plan, stores: tuple[Path, Path] | None) -> RunResult:
    """Read what was found of each class, and make the tables."""
    pandas, frames, pair = load_pandas("run"), [], job.pair
    rows = [
        ClassRow(number, plan.names[number], by_1, by_2, skipped=reason)
        for number, (by_1, by_2, reason) in plan.refused.items()
    ]
    for chosen in track(plan.chosen, "gathering results", shown=pair.progress):
        found, name = outcome(job.folder, chosen.number), plan.names[chosen.number]
        row = ClassRow(chosen.number, name, *chosen.predicted, len(chosen.training), len(chosen.evaluation))
        if isinstance(found, str):
            rows.append(replace(row, skipped=found))
            continue
        rows.append(compared_row(row, found))
        frame = found.to_frame()
        frame.insert(0, "class", chosen.number)
        frame.insert(1, "class_name", name)
        frames.append(frame)
    concepts = pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame(columns=COLUMNS)
    notes = [
        f"{name}: no importance and no replacement test, as no linear classifier is known behind {layer!r}."
        for name, layer, head in zip(pair.called, job.layers, job.heads(), strict=True)
        if head is None
    ]
    rows.sort(key=lambda row: row.number)
    return RunResult(
        folder=job.folder,
        names=pair.called,
        rows=rows,
        concepts=concepts,
        images=len(pair.images),
        unreadable=plan.unreadable,
        notes=notes + plan.notes(),
        stores=stores,
    )


def _check_tables(table_format: str) -> None:
    _checks.one_of("table_format", table_format, FORMATS)
    load_pandas("run")
    if table_format == "parquet":
        try:
            import pyarrow  # noqa: F401  (what pandas writes parquet with)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "table_format: 'parquet' needs pyarrow: pip install pyarrow, or 'csv'"
            ) from error


def _has_head(model: ImageModel, layer: str) -> bool:
    if layer != EMBEDDING or model.classifier is None:
        return False
    return isinstance(model.module.get_submodule(model.classifier), torch.nn.Linear)


def _labels(images: ImageSet, logits: int) -> Indices | None:
    """The class of each image, if the images' classes are those of the logits."""
    labels = images.labels
    if labels is None or (images.classes is not None and len(images.classes) != logits):
        return None
    # Of a data set -1 is what could not be read, and so is shown to no model.
    return labels if len(labels) and int(labels.max()) < logits and int(labels.min()) >= -1 else None
