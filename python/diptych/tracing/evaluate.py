"""A tracer and learners in, how well it foretells their answers out."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych._tables import load_pandas
from diptych.ops import _checks
from diptych.tracing.results import ORACLE
from diptych.tracing.scores import score
from diptych.tracing.sequences import Sequences
from diptych.tracing.tracer import Tracer

if TYPE_CHECKING:
    import pandas

#: Answers after which learners are scored by default.
AFTER = (10, 20, 30)


def evaluate(
    tracer: Tracer, sequences: Sequences, *, seen: bool = False, progress: bool = False
) -> "pandas.DataFrame":
    """Score a tracer on learners that it was not trained with.

    Args:
        tracer: The tracer.
        sequences: Of learners. Those whose answers it was trained or selected with are left out.
        seen: Keep these too.
        progress: Show a bar on stderr while images are read.

    Returns:
        A row each for the answers in training and in test, as far as there are some, with the columns
        ``model``, ``phase`` (train, test), ``learners``, ``answers``, ``micro_ap``, ``macro_ap``,
        ``accuracy``, ``nll``, ``ece`` (:class:`~diptych.tracing.scores.Scores`) and ``ap: <class>`` for each
        class. Where the true probabilities are known, the same rows of these follow, under the model
        ``oracle``: no model can be expected to do better.

    Raises:
        ModuleNotFoundError: pandas is not installed.
        ValueError: Other classes, images that the tracer cannot take, or no learner that it has not seen.
    """
    pandas = load_pandas("diptych.tracing.evaluate")
    shown = sequences if seen else _unseen(tracer, sequences)
    foretold: dict[str, NDArray[Any]] = {tracer.name: tracer.probabilities(shown, progress)}
    if shown.truth is not None:
        foretold[ORACLE] = shown.truth
    rows = []
    for name, probabilities in foretold.items():
        for phase, part in shown.phases():
            found = score(probabilities[part], shown.response[part])._asdict()
            of_each = dict(zip(shown.classes, found.pop("class_ap"), strict=True))
            counted = {"learners": len(np.unique(shown.learner[part])), "answers": int(part.sum())}
            apart = {f"ap: {each}": value for each, value in of_each.items()}
            rows.append({"model": name, "phase": phase, **counted, **found, **apart})
    return pandas.DataFrame(rows)


def carelessness(
    tracer: Tracer, sequences: Sequences, after: tuple[int, ...] = AFTER, *, progress: bool = False
) -> "pandas.DataFrame":
    """How improbable each learner's first answers are: the higher, the likelier they were given without care.

    The score is the mean negative log-likelihood of a learner's first answers under the tracer, in nats. Who
    guesses among C classes comes to log C or more. It sees more than wrong answers do: a learner's
    confusions follow the images and their own past, careless answers do not. Among simulated gradient and
    prototype learners, a fifth of them careless, the area under the ROC of ``cls_pred_y``'s scores is 0.77 to
    0.82 after 10 answers, 0.94 to 0.97 after 20 and 0.98 to 0.99 after 30 (two seeds each); that of the share
    of wrong answers 0.73 to 0.78, 0.90 to 0.93 and 0.96 to 0.98. The share added to the score does not help.
    Nor does it to take off the surprise that the tracer expects: one that comes to know a learner as careless
    expects surprises.

    Args:
        tracer: The tracer.
        sequences: Of learners, seen by the tracer or not.
        after: Numbers of first answers, each at least 1.
        progress: Show a bar on stderr while images are read.

    Returns:
        A row for each learner and each number of answers that it has given, with the columns ``learner``,
        ``answers``, ``score`` and ``right``, the share of right ones among them.

    Raises:
        ModuleNotFoundError: pandas is not installed.
        ValueError: Other classes, images that the tracer cannot take, or a number below 1.
    """
    pandas = load_pandas("diptych.tracing.carelessness")
    for each in after:
        _checks.integer("after", each, 1)
    chances = tracer.probabilities(sequences, progress)[
        np.arange(len(sequences.response)), sequences.response
    ]
    surprise = -np.log(np.maximum(chances.astype(float), np.finfo(np.float32).tiny))
    right = sequences.response == sequences.label
    rows = []
    for number, name in enumerate(sequences.learners):
        own = np.flatnonzero(sequences.learner == number)
        for answers in after:
            first = own[:answers]
            if len(first) == answers:
                said = {"score": float(surprise[first].mean()), "right": float(right[first].mean())}
                rows.append({"learner": name, "answers": answers, **said})
    return pandas.DataFrame(rows, columns=["learner", "answers", "score", "right"])


def _unseen(tracer: Tracer, sequences: Sequences) -> Sequences:
    kept = np.flatnonzero(~tracer.seen(sequences))
    if not len(kept):
        raise ValueError(
            f"sequences: expected learners that the tracer has not seen, found none among {len(sequences)}; "
            "seen=True keeps those it was trained with"
        )
    return sequences.of(kept)
