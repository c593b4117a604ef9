"""Scenes and actions in, a network with a number sense out."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import torch

from diptych._tables import write_csv
from diptych.embed._extras import require
from diptych.numerosity.laws import Renderer, renderer_of
from diptych.numerosity.models import Architecture, NumberNet, Stem
from diptych.numerosity.schedule import Epoch, Precision, Schedule
from diptych.numerosity.stem import stem_at_hand
from diptych.ops import _checks

if TYPE_CHECKING:
    from diptych.numerosity.training import Plan

#: What a training leaves in its folder.
NET, HISTORY = "net.safetensors", "history.csv"

KIND = "training"


def train(
    dataset: str | Renderer = "B",
    *,
    limit: int = 3,
    dimension: int = 2,
    stem: Stem | None = None,
    normalize: bool = False,
    size: int = 244,
    epochs: int = 30,
    batches: int = 30,
    pairs: int = 180,
    learning_rate: float = 1e-4,
    validation: int = 3,
    patience: int | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    device: str | None = None,
    devices: int = 1,
    precision: Precision = "32-true",
    progress: bool = True,
) -> NumberNet:
    """Train a network to name the action between two scenes: objects put, taken or only shaken.

    Nothing else is taught, no number is ever named. What the embedding makes of numbers is then for
    :func:`diptych.numerosity.evaluate` and :func:`diptych.numerosity.analyze` to see (Kondapaneni & Perona,
    Scientific Reports 14:6858, 2024). Every step sees a sequence of its own, drawn when it is wanted; so no
    scene comes twice. Its scenes are embedded once, though each but the first and the last belongs to two
    pairs.

    Args:
        dataset: Scenes, as :func:`diptych.numerosity.sequences` takes them.
        limit: Most objects in a scene.
        dimension: Width of the embedding, 1 to 256.
        stem: ``"imagenet"``, AlexNet's first two convolutions as torchvision has them, frozen; ``"random"``,
            drawn and frozen; ``"trained"``, drawn and trained. By default the first where the weights lie in
            torch's cache, else the second; ``net.architecture.stem`` tells which.
        normalize: Whether pixels are normalised by ImageNet's channel means and deviations first.
        size: Height and width of the scenes in pixels, 39 or more.
        epochs: How many.
        batches: Steps of an epoch.
        pairs: Actions of a step.
        learning_rate: Adam's.
        validation: Sequences that loss and accuracy are measured on after each epoch.
        patience: Stop when the validation's loss has not fallen for so many epochs, and give the network of
            the epoch where it was least. By default all epochs are done, and the last one's is given.
        seed: Of the weights and the sequences.
        out: Folder for the network, its history and what a stopped training goes on from; made if need be.
        resume: Go on with what ``out`` holds of this very training. A finished one is read again.
        device: ``"cpu"`` or ``"cuda"``; by default a GPU where there is one.
        devices: How many of them; each sees sequences of its own in every step.
        precision: ``"bf16-mixed"`` computes convolutions in bfloat16, twice as fast where the processor
            has it.
        progress: Show a bar on stderr.

    Returns:
        The network in evaluation mode on the CPU, ``net.history`` with what each epoch came to. On one
        machine and one number of threads the same weights to the last bit for a seed, whether or not the
        training was stopped and resumed.

    Complexity:
        ``epochs * batches * (pairs + 1)`` scenes of 5.2 GFLOP at 244 pixels on a frozen stem.

    Raises:
        FileExistsError: ``out`` holds something and ``resume`` was not asked for.
        FloatingPointError: A loss that is not finite; with ``out`` the last good epoch is kept there.
        ModuleNotFoundError: lightning or torchmetrics is not installed.
        OSError: ``stem="imagenet"``, and its weights are neither at hand nor to be had.
        TypeError: No whole number where one is wanted.
        ValueError: A number out of range, an unknown data set, stem, device or precision, ``out`` holds
            another training (the message tells what differs) or a damaged checkpoint, ``resume`` without
            ``out``.
    """
    for package in ("lightning", "torchmetrics"):
        require(package, "numerosity")
    renderer_of(dataset)
    counts = {"limit": limit, "epochs": epochs, "batches": batches, "pairs": pairs}
    counts |= {"validation": validation, "patience": 1 if patience is None else patience, "devices": devices}
    for name, value in counts.items():
        _checks.integer(name, value, 1)
    _checks.seed(seed)
    _checks.positive("learning_rate", learning_rate)
    _checks.one_of("precision", precision, get_args(Precision))
    _checks.one_of("device", device, (None, "cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected a GPU for 'cuda', found none")
    if resume and out is None:
        raise ValueError("resume: expected out beside it, the folder to go on with")
    from diptych.numerosity.training import Plan

    architecture = Architecture(dimension, stem or stem_at_hand(), normalize, size, seed)
    schedule = Schedule(dataset, limit, epochs, batches, pairs, learning_rate, seed)
    plan = Plan(architecture, schedule, validation, patience, device or "auto", devices, precision, progress)
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            return plan.fit(Path(folder))
    return _in_folder(plan, Path(out), resume)


def _in_folder(plan: "Plan", folder: Path, resume: bool) -> NumberNet:
    """Train in a folder that belongs to this training alone, or read what it came to."""
    from diptych._lightning import trained_in

    net, now = trained_in(
        folder, plan.job(), resume, kind=KIND, finished=NET, read=NumberNet.load, fit=plan.fit
    )
    if now:
        write_csv(folder / HISTORY, Epoch, net.history)
        net.save(folder / NET)
    return net
