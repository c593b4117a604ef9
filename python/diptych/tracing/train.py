"""Sequences of learners' answers in, a tracer out."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from diptych._tables import write_csv
from diptych.embed._extras import require
from diptych.ops import _checks
from diptych.tracing.extractor import Extractor, Kind, ResNet18, extractor_for, inputs_of
from diptych.tracing.fingerprint import fingerprint, of_learners
from diptych.tracing.models import MODELS
from diptych.tracing.schedule import Epoch, Schedule
from diptych.tracing.sequences import Sequences
from diptych.tracing.splits import Split, checked_split
from diptych.tracing.splits import split as divide
from diptych.tracing.tracer import Tracer

if TYPE_CHECKING:
    from diptych.tracing.training import Plan

#: What a training leaves in its folder.
TRACER, HISTORY = "tracer.safetensors", "history.csv"

KIND = "training"


def fit(
    sequences: Sequences,
    model: str = "cls_pred_y",
    split: int | Split = 0,
    *,
    extractor: Kind | None = None,
    dimension: int = 16,
    weights: str | os.PathLike[str] | None = None,
    size: int | None = None,
    epochs: int = 400,
    batch_size: int = 16,
    learning_rate: float | None = None,
    extractor_rate: float | None = None,
    patience: int = 35,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    device: str | None = None,
    progress: bool = True,
    **options: Any,
) -> Tracer:
    """Train a model of how learners answer.

    Adam minimises the mean negative log-likelihood of all answers, in training and in test, which equation
    2.6 is taken to be; the weights of the epoch with the least of it on the validation's learners are kept.

    Kondapaneni, Perona, Mac Aodha, "Visual Knowledge Tracing", ECCV 2022, arXiv 2207.10157.

    Args:
        sequences: What learners were shown and answered.
        model: One of ``MODELS``.
        split: Who is learned from, who tells when to stop and who is left for the test: the number of a
            shuffle (:func:`diptych.tracing.splits.split`), or a split.
        extractor: Where the model's features come from: ``"known"``, ``"head"`` or ``"resnet18"``; by
            default known features where there are some (:func:`diptych.tracing.extractor.extractor_for`).
        dimension: Width of features that are learned, 8 to 64 in the thesis.
        weights: Of the network, as for the extractor.
        size: Of the images, as for the extractor.
        epochs: At most.
        batch_size: Learners of a step.
        learning_rate: Adam's, of the model; by default what its class has, 1e-3 for all published ones.
        extractor_rate: Adam's, of the extractor: 1e-5 by default for the network, whose weights are good
            already, and ``learning_rate`` or else 1e-3 for a head on known features, which begins with
            nothing.
        patience: Stop when the validation's loss has not fallen for so many epochs.
        seed: Of the weights and of the order of the learners.
        out: Folder for the tracer, its history and what a stopped training goes on from; made if need be.
        resume: Go on with what ``out`` holds of this very training. A finished one is read again.
        device: ``"cpu"`` or ``"cuda"``; by default the CPU for known features, which leave a GPU little to
            do, and a GPU where there is one for the network.
        progress: Show a bar on stderr.
        options: Of the model: ``hidden``, ``layers``, ``accuracy=True``, ``seconds=True``, ...

    Returns:
        The tracer, ``tracer.history`` with what each epoch came to. On one machine and one number of threads
        the same weights to the last bit for a seed, whether or not the training was stopped and resumed.

    Complexity:
        For each batch each distinct image is embedded once, and the models with an LSTM call it once over
        the training steps and once over the test steps.

    Raises:
        FileExistsError: ``out`` holds something and ``resume`` was not asked for.
        FloatingPointError: A loss that is not finite; with ``out`` the last good epoch is kept there.
        ModuleNotFoundError: lightning, or what the extractor needs, is not installed.
        TypeError: No whole number where one is wanted, options that the model does not take.
        ValueError: An unknown model, extractor or device, a number out of range, fewer learners than parts,
            ``out`` with another training (the message tells what differs) or a damaged checkpoint, ``resume``
            without ``out``, response times asked for and not there.
    """
    require("lightning", "tracing")
    _checks.one_of("model", model, tuple(MODELS))
    _checks.one_of("device", device, (None, "cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected a GPU for 'cuda', found none")
    if resume and out is None:
        raise ValueError("resume: expected out beside it, the folder to go on with")
    if options.get("seconds") and sequences.seconds is None:
        raise ValueError("seconds: expected sequences with response times, found none")
    drawn = extractor_for(
        sequences,
        extractor,
        dimension=dimension,
        weights=None if weights is None else str(weights),
        size=size,
        seed=seed,
    )
    network = isinstance(drawn, ResNet18)
    if extractor_rate is None:
        extractor_rate = 1e-5 if network else (1e-3 if learning_rate is None else learning_rate)
    if learning_rate is None:
        learning_rate = MODELS[model].learning_rate
    schedule = Schedule(epochs, batch_size, learning_rate, extractor_rate, patience, seed)
    parts = checked_split(split, len(sequences)) if isinstance(split, Split) else divide(sequences, split)
    from diptych.tracing.training import Plan

    plan = Plan(schedule, parts, device or ("auto" if network else "cpu"), progress)
    tracer = _untrained(sequences, model, options, drawn, seed)
    of_each = of_learners(sequences)
    tracer.about = {
        "split": None if isinstance(split, Split) else split,
        "learners": [of_each[each] for part in (parts.train, parts.validation) for each in part],
        "schedule": asdict(schedule),
        "sequences": dict(sequences.about),
    }
    if out is None:
        return _trained(plan, tracer, sequences, None)
    job = {
        "model": model,
        "options": options,
        "extractor": drawn.described(),
        "weights": None if weights is None else str(weights),
        "sequences": fingerprint(sequences),
        **plan.job(),
    }
    return _in_folder(plan, tracer, sequences, Path(out), job, resume)


def _untrained(
    sequences: Sequences, model: str, options: dict[str, Any], extractor: Extractor, seed: int
) -> Tracer:
    """A tracer whose weights are drawn by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            drawn = MODELS[model](len(sequences.classes), extractor.dimension, **options)
        except TypeError as error:
            raise TypeError(f"options: expected those of {model}, found {options}: {error}") from error
    return Tracer(model, options, drawn, extractor, sequences.classes)


def _trained(plan: "Plan", tracer: Tracer, sequences: Sequences, folder: Path | None) -> Tracer:
    inputs = inputs_of(sequences, tracer.extractor, plan.progress)
    tracer.history = plan.fit(tracer.model, tracer.extractor, inputs, sequences, folder)
    return tracer


def _in_folder(
    plan: "Plan", tracer: Tracer, sequences: Sequences, folder: Path, job: dict[str, Any], resume: bool
) -> Tracer:
    from diptych._lightning import trained_in

    trained, now = trained_in(
        folder,
        job,
        resume,
        kind=KIND,
        finished=TRACER,
        read=Tracer.load,
        fit=lambda there: _trained(plan, tracer, sequences, there),
    )
    if now:
        write_csv(folder / HISTORY, Epoch, trained.history)
        trained.save(folder / TRACER)
    return trained
