"""Visual knowledge tracing: how a learner will answer next."""

from diptych.tracing.data import load, save, validate
from diptych.tracing.greebles import Greebles, greebles
from diptych.tracing.published import load_published
from diptych.tracing.sequences import Sequences
from diptych.tracing.splits import Split, split, splits

__all__ = [
    "Greebles",
    "Sequences",
    "Split",
    "greebles",
    "load",
    "load_published",
    "save",
    "split",
    "splits",
    "validate",
]
