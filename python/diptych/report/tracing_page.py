"""The page of models that foretell what learners answer: what it says, gathered for the template."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from diptych._build import versions
from diptych.report import page, words
from diptych.tracing.lessons import Lessons
from diptych.tracing.results import ORACLE, STATIC, TracingResult

if TYPE_CHECKING:
    import pandas

_PACKAGES = ("jinja2", "matplotlib", "pandas")

# What is told of each figure beside its title.
_TOLD = {
    "accuracy": "Dots are what learners answered, with 95 % intervals of a Beta posterior; lines are what "
    "models expected of them before each answer, on average. In the test nothing is learned.",
    "learner": "A column is a step, the darker the likelier the answer was foretold to be. The learner is in "
    "the middle by right answers.",
    "states": "A dot is a learner at a step, coloured by how many training steps were made. Lines follow "
    "single learners, from an open dot to a filled one.",
    "subspaces": "The classifier that the model takes the learner to hold divides the images into regions by "
    "the likeliest answer. Images have the colour of their true class.",
    "confusion": "Of the images of each class the share, in percent, that was taken for each.",
    "learners": "A dot is a learner, above the line where the model foretells its answers better than the "
    "static one does.",
    "calibration": "Of all classes of all answers that were foretold with some probability, the share that "
    "was answered; on the diagonal a model is right about how sure it is.",
    "lessons": "Simulated learners are shown what a teacher chooses by what the model knows of them, the "
    "same learners under each.",
}


@dataclass(frozen=True)
class Drawing:
    """A figure on the page: its name, its title, and the data URI of the PNG."""

    name: str
    title: str
    uri: Markup

    @property
    def told(self) -> str:
        """What is told of it beside its title."""
        return _TOLD[self.name]


def render(
    result: TracingResult,
    frame: "pandas.DataFrame",
    drawings: list[Drawing],
    lessons: Lessons | None,
    title: str | None,
    command: str | None,
) -> bytes:
    """Return the page as UTF-8; see :func:`diptych.report.page.render`."""
    answers = result.answers
    phases = ["training", *(["test"] if answers.test.any() else [])]
    context = {
        "title": title or "What learners will answer",
        "names": ("", ""),
        "finding": finding(result, frame, lessons),
        "facts": [
            ("Learners", f"{len(answers):,}", "whom no model had seen, unless it was asked for"),
            ("Answers", f"{len(answers.item):,}", f"in {' and '.join(phases)}"),
            ("Classes", f"{len(answers.classes):,}", f"of {len(answers.items):,} images"),
        ],
        "notes": [],
        "rows": _rows(frame),
        "phases": phases,
        "gap": bool(frame["share_of_gap"].notna().any()),
        "drawings": drawings,
        "lessons": lessons is not None,
        "parameters": _known(result),
        "versions": page.all_versions(_PACKAGES, versions()),
        "seconds": {},
        "command": command or "result = diptych.tracing.trace.trace(tracers, sequences)",
        "from_shell": command is not None,
    }
    return page.render("tracing.html.j2", context, data=None, style="numerosity.css", script="plain.js")


def finding(result: TracingResult, frame: "pandas.DataFrame", lessons: Lessons | None) -> list[str]:
    """The outcome in plain sentences: which model foretells best, and what it gains."""
    phase = "test" if result.answers.test.any() else "train"
    own = frame[frame.phase == phase].set_index("model")
    best = str(own.micro_ap.drop(ORACLE, errors="ignore").idxmax())
    where = "in the test" if phase == "test" else "in training"
    others = [
        f"{name} {words.decimal(own.micro_ap[name], 3)}"
        for name in (STATIC, ORACLE)
        if name in own.index and name != best
    ]
    beside = f" ({', '.join(others)})" if others else ""
    sentences = [
        f"Answers {where} are foretold best by {best}: micro average precision "
        f"{words.decimal(own.micro_ap[best], 3)}{beside}."
    ]
    share = own.share_of_gap[best]
    if best != STATIC and not np.isnan(share):
        sentences.append(f"That closes {words.percent(share)} of the gap from static to oracle.")
    if lessons is not None:
        last = lessons.frame()
        last = last[last.step == last.step.max()].set_index("policy").drop(lessons.policies[0])
        for policy, row in last.iterrows():
            interval = "" if np.isnan(row.low) else f" ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
            sentences.append(
                f"Learners taught by {str(policy).replace('_', ' ')} end {100 * row.gain:+.1f} points of "
                f"right answers from those taught at random{interval}."
            )
    return sentences


def _rows(frame: "pandas.DataFrame") -> list[dict[str, Any]]:
    """A row a model: what it came to in each phase."""
    found = []
    for name in dict.fromkeys(frame.model):
        of_each = [row for _, row in frame[frame.model == name].iterrows()]
        found.append({"model": name, "phases": of_each})
    return found


def _known(result: TracingResult) -> dict[str, Any]:
    """What is said of where the learners come from, as far as it is a number or a word."""
    said = result.about.get("sequences", {})
    return {
        "models": ", ".join(result.models),
        **{name: value for name, value in said.items() if isinstance(value, str | int | float)},
    }
