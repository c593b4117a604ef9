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
    "states": "A dot is what the model knows of a learner at a step, coloured by how many training steps "
    "were made. Lines follow single learners, from an open dot to a filled one.",
    "subspaces": "The classifier that the model takes the learner to hold divides images into regions by the "
    "likeliest answer. Images have colour and mark of their true class. The plane is the one in which the "
    "classes lie furthest apart; regions are those of images that are average in all other directions, so "
    "that an image can have another answer than the region it lies in.",
    "confusion": "Of the images of each class the share, in percent, that was taken for each: above by "
    "learners, below as the model expected.",
    "learners": "A dot is a learner, above the line where the model foretells its answers better than the "
    "static one does.",
    "calibration": "Of all classes of all answers that were foretold with some probability, the share that "
    "was answered; on the diagonal a model is right about how sure it is.",
    "lessons": "Simulated learners are shown what a teacher chooses by what the model knows of them, the "
    "same learners under each. Held-out images are shown by none. Gains are over the random teacher with the "
    "same seed; their intervals are Student's, over seeds.",
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
            ("Learners", f"{len(answers):,}", _seen(result)),
            ("Answers", f"{len(answers.item):,}", f"in {' and '.join(phases)}"),
            ("Classes", f"{len(answers.classes):,}", f"of {len(answers.items):,} images"),
        ],
        "notes": [],
        "phases": _phases(frame),
        "told": _told(result),
        "gap": bool(frame["share_of_gap"].notna().any()),
        "drawings": drawings,
        "lessons": lessons is not None,
        "parameters": _known(result),
        "versions": page.all_versions(_PACKAGES, versions()),
        "seconds": {},
        "command": command or "result = diptych.tracing.trace(tracers, sequences)",
        "from_shell": command is not None,
    }
    return page.render("tracing.html.j2", context, data=None, style="tracing.css", script="plain.js")


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
            ends = f"{_signed(row.low)} to {_signed(row.high)}"
            interval = "" if np.isnan(row.low) else f" (95 % interval {ends})"
            side = "above" if row.gain >= 0 else "below"
            sentences.append(
                f"Simulated learners whose teacher chooses by “{str(policy).replace('_', ' ')}” end "
                f"{100 * abs(row.gain):.1f} points of right answers {side} those taught at random{interval}."
            )
    return sentences


def _signed(share: float) -> str:
    """A difference of shares in points, with a minus sign that is none of a word's."""
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def _phases(frame: "pandas.DataFrame") -> list[dict[str, Any]]:
    """A table each for training and test, a row a model."""
    titles = {"train": "Training", "test": "Test"}
    return [
        {"title": title, "rows": frame[frame.phase == phase].to_dict("records")}
        for phase, title in titles.items()
        if (frame.phase == phase).any()
    ]


def _seen(result: TracingResult) -> str:
    """Whether the models are tested on learners that they know, as far as it is known."""
    known = result.about.get("seen")
    if known is None:
        return "whose answers are foretold"
    return "whom no model had seen" if known == 0 else f"of whom a model had seen {known:,}"


def _told(result: TracingResult) -> list[tuple[str, str]]:
    """What each model is, as far as it is known."""
    said = result.about.get("tracers", {})
    return [(name, said[name]["is"]) for name in result.models if said.get(name, {}).get("is")]


def _known(result: TracingResult) -> dict[str, Any]:
    """What is said of where learners and models come from, as far as it is a number or a word."""
    said = result.about.get("sequences", {})
    trained = {
        name: ", ".join(f"{key} {value}" for key, value in each.items() if key != "is" and value is not None)
        for name, each in result.about.get("tracers", {}).items()
    }
    return {
        **{
            f"learners, {name}": value for name, value in said.items() if isinstance(value, str | int | float)
        },
        **({} if result.paths is None else {"followed": result.paths.model}),
        **trained,
    }
