"""Visual knowledge tracing: how a learner will answer next.

Kondapaneni, Perona, Mac Aodha, "Visual Knowledge Tracing", ECCV 2022, arXiv 2207.10157.
"""

from diptych.tracing import teaching
from diptych.tracing.data import load, save, validate
from diptych.tracing.evaluate import carelessness, evaluate
from diptych.tracing.greebles import Greebles, greebles
from diptych.tracing.learners import KINDS, Laws
from diptych.tracing.lessons import Lessons
from diptych.tracing.models import MODELS
from diptych.tracing.published import load_published
from diptych.tracing.reproduce import reproduce
from diptych.tracing.results import Paths, TracingResult
from diptych.tracing.sequences import Sequences
from diptych.tracing.simulate import simulate
from diptych.tracing.splits import Split, split, splits
from diptych.tracing.study import TracingStudy
from diptych.tracing.trace import trace
from diptych.tracing.tracer import Tracer
from diptych.tracing.train import fit

__all__ = [
    "KINDS",
    "MODELS",
    "Greebles",
    "Laws",
    "Lessons",
    "Paths",
    "Sequences",
    "Split",
    "Tracer",
    "TracingResult",
    "TracingStudy",
    "carelessness",
    "evaluate",
    "fit",
    "greebles",
    "load",
    "load_published",
    "reproduce",
    "save",
    "simulate",
    "split",
    "splits",
    "teaching",
    "trace",
    "validate",
]
