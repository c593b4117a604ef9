"""Tracers and learners in, what the tracers foretold out."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from diptych._progress import track
from diptych.ops import _checks
from diptych.tracing.batches import pad
from diptych.tracing.extractor import inputs_of
from diptych.tracing.models import TracingModel
from diptych.tracing.results import ORACLE, Paths, TracingResult, without_images
from diptych.tracing.sequences import Sequences
from diptych.tracing.tracer import Tracer


def trace(
    tracers: Tracer | Mapping[str, Tracer],
    sequences: Sequences,
    *,
    follow: str | None = None,
    seen: bool = False,
    progress: bool = False,
) -> TracingResult:
    """Have tracers foretell the same learners' answers.

    Args:
        tracers: One or several by name; ``"static"`` is what pictures compare the others with.
        sequences: Of learners. Those whose answers one of the tracers was trained or selected with are left
            out.
        follow: Whose states and classifiers to keep step by step; by default the first tracer's that has
            both, or else states, or else classifiers.
        seen: Keep the learners that tracers have seen.
        progress: Show a bar on stderr.

    Returns:
        The result, which pictures and pages are made of.

    Complexity:
        A pass of each model, and for who is followed the loop over training steps; of L learners, T steps
        and states of h numbers L T (2 h + C (d + 1)) numbers are kept.

    Raises:
        ValueError: No tracers, or one called ``"oracle"``; ``follow`` none of their names or without states,
            other classes, images that a tracer cannot take, no learner that is new to all tracers.
    """
    named = {tracers.name: tracers} if isinstance(tracers, Tracer) else dict(tracers)
    if not named:
        raise ValueError("tracers: expected one or more, found none")
    if ORACLE in named:
        raise ValueError(f"tracers: expected other names than {ORACLE!r}, that of the true probabilities")
    if follow is not None:
        _checks.one_of("follow", follow, tuple(named))
    shown, known = sequences, np.logical_or.reduce([each.seen(sequences) for each in named.values()])
    if not seen:
        if known.all():
            raise ValueError(
                f"sequences: expected learners that no tracer has seen, found none among {len(sequences)}; "
                "seen=True keeps those they were trained with"
            )
        shown = sequences.of(np.flatnonzero(~known))
    foretold = {
        name: named[name].probabilities(shown)
        for name in track(list(named), "foretelling answers", shown=progress)
    }
    followed = follow or max(named, key=lambda name: _worth(named[name]))
    paths = _paths(followed, named[followed], shown)
    if follow is not None and paths is None:
        raise ValueError(f"follow: expected a model with states or classifiers to keep, found {follow!r}")
    about = {
        "sequences": dict(sequences.about),
        "seen": int(known.sum()) if seen else 0,
        "tracers": {name: _described(each) for name, each in named.items()},
    }
    return TracingResult(without_images(shown), foretold, paths, about)


def _described(tracer: Tracer) -> dict[str, Any]:
    """What a tracer is and how it was trained, as JSON can hold it."""
    said = inspect.getdoc(type(tracer.model)) or ""
    return {
        "model": tracer.name,
        "is": said.partition("\n")[0],
        "split": tracer.about.get("split"),
        "seed": tracer.about.get("schedule", {}).get("seed"),
        "epochs": len(tracer.history) or None,
    }


def _recurrent(tracer: Tracer) -> bool:
    """Whether a model has hidden states and cells."""
    state = tracer.model.start(1)
    return hasattr(state, "hidden") and hasattr(state, "cell")


def _linear(tracer: Tracer) -> bool:
    """Whether a model has linear classifiers of its learners, be it that they are not all there is to it."""
    return type(tracer.model).classifiers is not TracingModel.classifiers


def _worth(tracer: Tracer) -> int:
    """The more, the more there is to be seen of a model's states."""
    return 2 * _recurrent(tracer) + _linear(tracer)


@torch.no_grad()
def _paths(name: str, tracer: Tracer, sequences: Sequences) -> Paths | None:
    """States before and after each training step; None for a model that has none to be seen."""
    model, recurrent, linear = tracer.model, _recurrent(tracer), _linear(tracer)
    if not recurrent and not linear:
        return None
    state = model.start(len(sequences))
    features = tracer.extractor.embed(inputs_of(sequences, tracer.extractor, False)).cpu()
    batch = pad(sequences).batch(features)
    made = batch.training.sum(1)
    kept: dict[str, list[torch.Tensor]] = {}
    for step in range(int(made.max()) + 1):
        # Padding moves learners on who have made all their steps: what comes of it is not kept.
        there = torch.nonzero(made >= step)[:, 0]
        now = {"learner": there, "step": torch.full_like(there, step)}
        if recurrent:
            now |= {"hidden": state.hidden[there, -1], "cell": state.cell[there, -1]}
        if linear:
            weights, offsets = model.classifiers(state)
            now |= {"weights": weights.mean(1)[there], "offsets": offsets.mean(1)[there]}
        for part, value in now.items():
            kept.setdefault(part, []).append(value)
        if step < made.max():
            state = model.advance(state, batch.step(step))
    parts = {part: torch.cat(values).numpy() for part, values in kept.items()}
    return Paths(
        name,
        parts["learner"],
        parts["step"],
        parts.get("hidden"),
        parts.get("cell"),
        parts.get("weights"),
        parts.get("offsets"),
        features.numpy(),
    )
