"""What a learner sees next: from the file of answers, so that a reload or a new start loses nothing."""

import hmac
import math
import secrets
import time
from collections.abc import Callable
from typing import Any

from diptych.collect.store import Step, Store

# Seconds by which a browser's measure may exceed the server's: clocks are set now and then.
_SLACK = 2.0


class UnknownLearnerError(LookupError):
    """No learner has this token, or the ticket to begin with is not ours."""


class ConflictError(ValueError):
    """The answer is to a step that has another answer, or that the learner has not come to."""


class Sessions:
    """The learners' ways through a study; each method may be called from several threads.

    A learner is known by a secret token alone. ``visit`` names one opened page: a response time counts only
    where the page that showed the image is the page that answers.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Serve a store.

        Args:
            store: The answers.
            clock: The time in seconds since 1970.
        """
        self.store, self._clock = store, clock
        self._kind = store.study.kind

    def ticket(self) -> str:
        """A new token and our signature: only a page of ours lets somebody begin."""
        token = secrets.token_urlsafe(16)
        return f"{token}.{self._signature(token)}"

    def begin(self, ticket: str) -> str:
        """Let a learner begin, and return the token; a ticket that is used again gives the same learner.

        Raises:
            UnknownLearnerError: The ticket is not one of ours.
        """
        token, _, signature = ticket.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(token).encode()):
            raise UnknownLearnerError("this page is out of date")
        self.store.begin(token, self._clock())
        return token

    def go(self, token: str, visit: str, seen: int | None = None) -> dict[str, Any]:
        """What the learner sees now: a trial, the feedback of the last answer, or the end.

        Args:
            token: The learner's.
            visit: The opened page.
            seen: The step whose feedback the learner goes on from.

        Raises:
            UnknownLearnerError: Nobody has this token.
        """
        learner, steps = self._steps(token)
        if seen is not None and seen == _answered(steps) - 1:
            self.store.see(learner, seen)
            steps = self.store.steps(learner)
        return self._screen(learner, steps, visit)

    def answer(self, token: str, visit: str, step: int, answer: Any, seconds: float | None) -> None:
        """Keep an answer.

        The same answer to the same step may come again; the first is kept, with its time.

        Args:
            token: The learner's.
            visit: The opened page that answers.
            step: Number of the step.
            answer: As the kind of trial takes it.
            seconds: Response time; None where it could not be measured.

        Raises:
            UnknownLearnerError: Nobody has this token.
            ValueError: There is no such step, it is no answer, or no time.
            ConflictError: The step has another answer, or has not been shown.
        """
        learner, steps = self._steps(token)
        if not 0 <= step < len(steps):
            raise ValueError(f"step: expected 0 to {len(steps) - 1}, found {step}")
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"response_time: expected seconds that are not negative, found {seconds}")
        here = steps[step]
        read = self._kind.read(here.trial, answer)
        if here.shown is None:
            raise ConflictError("this step has not been shown")
        now = self._clock()
        known = seconds if here.visit == visit and _possible(seconds, now - here.shown) else None
        if self.store.keep(learner, step, read, known, now) != read:
            raise ConflictError("another answer to this step came before; that one is kept")

    def image(self, token: str, step: int, place: int) -> int:
        """Number of an image that the learner may fetch: of a step answered, the present one or the next.

        Raises:
            UnknownLearnerError: Nobody has this token, or there is no such image for this learner now.
        """
        _, steps = self._steps(token)
        if 0 <= step <= min(_answered(steps) + 1, len(steps) - 1):
            images = steps[step].trial.images
            if 0 <= place < len(images):
                return images[place]
        raise UnknownLearnerError("there is no such image")

    def _steps(self, token: str) -> tuple[int, list[Step]]:
        learner = self.store.learner(token)
        if learner is None:
            raise UnknownLearnerError("nobody has begun at this address")
        return learner, self.store.steps(learner)

    def _screen(self, learner: int, steps: list[Step], visit: str) -> dict[str, Any]:
        answered = _answered(steps)
        if answered:
            last = steps[answered - 1]
            told = None if last.seen else self._kind.feedback(last.trial, last.answer)
            if told is not None:
                shown = self._shown(steps, answered - 1)
                return {"screen": "feedback", **shown, "answer": last.answer, "feedback": told}
        if answered == len(steps):
            return {"screen": "end", "steps": len(steps)}
        self.store.show(learner, answered, visit, self._clock())
        return {"screen": "trial", **self._shown(steps, answered)}

    def _shown(self, steps: list[Step], step: int) -> dict[str, Any]:
        """What the page needs to know of a step; images are addresses under the learner's page."""
        here = steps[step]
        of_phase = [number for number, each in enumerate(steps) if each.trial.phase == here.trial.phase]
        ahead = steps[step + 1].trial.images if step + 1 < len(steps) else ()
        return {
            "step": step,
            "steps": len(steps),
            "phase": here.trial.phase,
            "place": step - of_phase[0],
            "places": len(of_phase),
            "images": [f"image/{step}/{place}" for place in range(len(here.trial.images))],
            "ahead": [f"image/{step + 1}/{place}" for place in range(len(ahead))],
            "trial": self._kind.shown(here.trial),
        }

    def _signature(self, token: str) -> str:
        return hmac.digest(self.store.secret, token.encode("utf-8", "replace"), "sha256").hex()


def _answered(steps: list[Step]) -> int:
    """How many steps have an answer: the first ones, for none is answered before it is shown."""
    return sum(each.answer is not None for each in steps)


def _possible(seconds: float | None, elapsed: float) -> bool:
    """Whether a browser can have measured so many seconds of those that went by here."""
    return seconds is not None and seconds <= elapsed + _SLACK
