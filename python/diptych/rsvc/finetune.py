"""An image model and labelled images in, the model fine-tuned to their classes out."""

import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._checkpoint import check_folder
from diptych.embed import ImageModel, ImageSet, load_model, open_images
from diptych.embed.activations import Precision
from diptych.embed.augmentation import RandomCrop
from diptych.embed.finetuning import Recipe
from diptych.embed.images import ImagesLike
from diptych.embed.new_classifier import with_new_classifier
from diptych.ops import _checks
from diptych.rsvc.finetune_jobs import KIND, STORE, FrozenRecipe, Job, run_in_folder
from diptych.rsvc.finetuned import FINETUNED, Finetuned
from diptych.rsvc.selection import wanted_classes

# What goes unless it is given, for all weights and for the classifier alone.
_EPOCHS, _WEIGHT_DECAY, _RATES = 20, 0.05, {"learning_rate": 1e-3, "backbone_rate": 0.1}
_FROZEN_EPOCHS, _PENALTY = 1000, 1e-3


def finetune(
    model: ImageModel | str,
    images: ImagesLike,
    *,
    out: str | os.PathLike[str] | None = None,
    frozen: bool = False,
    classes: Sequence[int | str] | None = None,
    validation: "ImagesLike | None" = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    backbone_rate: float | None = None,
    weight_decay: float | None = None,
    warmup: float = 0.05,
    label_smoothing: float = 0.0,
    crop_area: float = 0.25,
    flip: bool = True,
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    batch_size: int = 64,
    workers: int | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Finetuned:
    """Give an image model a classifier for the classes of some images, and train it, or all of its weights.

    For comparing networks on images of other classes than they were trained on (thesis, secs 3.8.5 and
    3.8.6): :func:`diptych.rsvc.run` wants two models with the same logits.

    With ``frozen`` the backbone stays as it is. Its embeddings, what enters the classifier, are computed
    once, of images as the model's own preprocessing makes them, and the classifier is fitted to them by
    L-BFGS: the problem is convex, so there is neither a learning rate to choose nor chance in the result
    (:func:`diptych.embed.linear_classifier.fit_linear_classifier`).

    Otherwise all weights that require gradients are trained by AdamW under a cosine, from the given ones and
    a classifier of zeros, on random crops of the images, mirrored half of the time; these are made of the
    pictures before the model's own preprocessing, so that it is the same in training and later
    (:class:`diptych.embed.finetuning.Recipe`, :class:`diptych.embed.augmentation.RandomCrop`).

    Args:
        model: From :func:`diptych.embed.load_model`, or a name that it takes. Its weights stay as they
            are: a copy is trained, in float32 unless frozen.
        images: As :func:`diptych.embed.open_images` takes them, with labels. Those that cannot be read are
            skipped, and told in the result.
        out: Folder for the weights, and for what a stopped run goes on from; made if need be.
        frozen: Train the classifier alone.
        classes: Numbers or names of the classes to train on; all by default. Images of the others are left
            out, in the validation too; they keep their logits, so that networks can be compared that
            were trained on different classes.
        validation: Other images, of the very same classes; their share classified rightly is found after
            each epoch.
        epochs: Passes over the images, 20 by default; of a frozen backbone at most so many iterations, 1000
            by default: it ends where the minimum is reached.
        learning_rate: The classifier's highest, 1e-3 by default; not with ``frozen``.
        backbone_rate: Of all other weights, as a share of it, 0.1 by default; not with ``frozen``.
        weight_decay: AdamW's, 0.05 by default; with ``frozen`` the weight of the squared norm beside the mean
            cross-entropy, 1e-3 by default.
        warmup: Share of the steps over which learning rates rise; without ``frozen``, as crop_area and flip.
        label_smoothing: Share of each label's weight that is spread over all classes.
        crop_area: Least share of an image's area that a crop has; 1 shows whole images.
        flip: Whether images may be mirrored.
        seed: Of the order of images, the crops and dropout.
        device: Where to compute; where the model is by default.
        precision: "bfloat16" computes forward passes under autocast; "float16" only with ``frozen``.
        batch_size: Images of a step, or of a forward pass.
        workers: Threads that read images; up to four by default.
        resume: Go on with what ``out`` holds of this very job. A finished one is read again.
        progress: Show progress bars on stderr.

    Returns:
        :class:`Finetuned`; on one machine and one number of torch threads the same weights to the last bit
        for a seed, whether or not the job was stopped and resumed.

    Complexity:
        Three forward passes' time of every image and epoch, and a pass that finds unreadable images; with
        ``frozen`` one forward pass of each, and 4 n d c operations an iteration. ``out`` takes six times
        the room of the weights while one checkpoint replaces another, or that of the embeddings.

    Raises:
        FileExistsError: ``out`` holds something and ``resume`` was not asked for.
        FileNotFoundError: There is no such folder of images.
        TypeError: No number where one is wanted.
        ValueError: No labels or negative ones, fewer than 2 classes, an unknown class, validation images of
            other classes, a model whose classifier is unknown or not linear, a number out of range, a loss
            that is not finite, ``out`` holds another job (the message tells what differs), ``resume`` without
            ``out``, ``out`` and preprocessing that cannot be named.
    """
    adamw = {"learning_rate": learning_rate, "backbone_rate": backbone_rate}
    options = {
        "warmup": warmup,
        "label_smoothing": label_smoothing,
        "crop": RandomCrop(crop_area, flip),
        "batch_size": batch_size,
        "seed": seed,
    }
    recipe = _recipe(frozen, epochs, weight_decay, adamw, options)
    _check_options(frozen, precision, batch_size, workers, resume, out)
    if out is not None:
        check_folder(Path(out), resume, kind=KIND, finished=FINETUNED, again="--resume", beside=STORE)
    source = _labelled("images", images)
    held = None if validation is None else _labelled("validation", validation)
    names = _class_names(source, held)
    chosen = _chosen(source, classes, names)
    network = load_model(model) if isinstance(model, str) else model
    job = Job(
        network=network,
        made=with_new_classifier(network, len(names)),
        images=_of_classes(source, chosen),
        held=None if held is None else _of_classes(held, chosen),
        names=names,
        recipe=recipe,
        device=device,
        precision=precision,
        batch_size=int(batch_size),
        workers=workers,
        progress=progress,
    )
    return job.run() if out is None else run_in_folder(job, Path(out), resume)


def _recipe(
    frozen: bool,
    epochs: int | None,
    weight_decay: float | None,
    adamw: dict[str, float | None],
    options: dict[str, Any],
) -> Recipe | FrozenRecipe:
    """The options that were given, and what goes for the others."""
    if not frozen:
        rates: dict[str, Any] = {
            name: _RATES[name] if given is None else given for name, given in adamw.items()
        }
        return Recipe(
            epochs=_EPOCHS if epochs is None else epochs,
            weight_decay=_WEIGHT_DECAY if weight_decay is None else weight_decay,
            **rates,
            **options,
        )
    for name, given in adamw.items():
        if given is not None:
            raise ValueError(f"{name}: a frozen backbone is trained without, found {given}; leave it out")
    return FrozenRecipe(
        epochs=_FROZEN_EPOCHS if epochs is None else epochs,
        weight_decay=_PENALTY if weight_decay is None else weight_decay,
        label_smoothing=options["label_smoothing"],
    )


def _check_options(
    frozen: bool, precision: str, batch_size: int, workers: int | None, resume: bool, out: object
) -> None:
    _checks.one_of("precision", precision, get_args(Precision))
    if precision == "float16" and not frozen:
        raise ValueError(
            "precision: gradients do not fit float16; choose 'bfloat16', or 'float16' with frozen"
        )
    _checks.integer("batch_size", batch_size, 1)
    if workers is not None:
        _checks.integer("workers", workers, 1)
    if resume and out is None:
        raise ValueError("resume: expected out, the folder to go on with, found None")


def _labelled(name: str, source: ImagesLike) -> ImageSet:
    images = open_images(source)
    if images.labels is None:
        raise ValueError(
            f"{name}: expected a class of each image, found none; give a folder with a folder for each "
            "class, or labels to open_images"
        )
    return images


def _class_names(images: ImageSet, held: ImageSet | None) -> tuple[str, ...]:
    """Names of the logits: the images' classes, or their numbers."""
    labels = _labels(images)
    names = images.classes or tuple(map(str, range(int(labels.max()) + 1)))
    if len(names) < 2:
        raise ValueError(f"images: expected at least 2 classes, found {len(names)}")
    if held is not None and images.classes is not None and held.classes is not None:
        _same_classes(names, held.classes)
    for name, each in (("images", images), ("validation", held)):
        highest = -1 if each is None else int(_labels(each).max())
        if highest >= len(names):
            raise ValueError(f"{name}: expected labels 0 to {len(names) - 1}, found {highest}")
    return names


def _same_classes(names: Sequence[str], held: Sequence[str]) -> None:
    for number, (one, other) in enumerate(zip_longest(names, held)):
        if one != other:
            raise ValueError(
                f"validation: expected the classes of images, found {len(held)} for {len(names)}; class "
                f"{number} is {other!r} for {one!r}"
            )


def _chosen(images: ImageSet, classes: Sequence[int | str] | None, names: Sequence[str]) -> list[int]:
    """Numbers of the classes to train on."""
    labels = _labels(images)
    chosen = wanted_classes(classes, (labels, labels), names)
    if len(chosen) < 2:
        said = ", ".join(repr(names[number]) for number in chosen) or "none"
        raise ValueError(f"classes: expected images of at least 2 classes, found {said}")
    return chosen


def _of_classes(images: ImageSet, chosen: Sequence[int]) -> ImageSet:
    """The images of some classes, and those that a data set cannot read and so has no class of (-1)."""
    labels = _labels(images)
    return images.take(np.isin(labels, chosen) | (labels < 0))


def _labels(images: ImageSet) -> NDArray[np.int64]:
    assert images.labels is not None
    return images.labels
