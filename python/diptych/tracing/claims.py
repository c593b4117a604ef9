"""What a study of simulated learners is to show, and whether it does."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from diptych.tracing.results import ORACLE, STATIC
from diptych.tracing.sequences import PHASES
from diptych.tracing.study import Interval, TracingStudy

# Kinds of learners who learn, and models that are told of them.
_LEARN = ("gradient", "prototype", "exemplar")
_RECURRENT = ("direct", "direct_y", "direct_yz", "cls_pred", "cls_pred_y", "cls_pred_yz")
_OURS, _PUBLISHED = "fast_weight", "cls_pred_y"
# As good as the best is who is so near to it, in micro average precision.
_NEAR = 0.01
_SHARE = 0.55


@dataclass(frozen=True)
class Claim:
    """What is wanted of models, and what was found.

    Attributes:
        claim: In words.
        learners: Of which learners.
        phase: Of which answers.
        wanted: The figure that is wanted.
        found: The mean over seeds, of micro average precision unless the claim says otherwise.
        low: Of its 95 % interval.
        high: Of its 95 % interval.
        seeds: How many.
        holds: Whether it is so: of what must be above 0 or below it, the whole interval.
    """

    claim: str
    learners: str
    phase: str
    wanted: str
    found: float
    low: float
    high: float
    seeds: int
    holds: bool


def claims(study: TracingStudy) -> tuple[Claim, ...]:
    """Those that the study's learners and models, over two seeds or more, allow to put to the test."""
    return tuple(
        claim for learners in study.sets for phase in PHASES for claim in _of(study, learners, phase)
    )


def _of(study: TracingStudy, learners: str, phase: str) -> Iterator[Claim]:
    trained = set(study.models(learners))
    seeds = len(study.micro_ap(learners, ORACLE, phase))
    if seeds < 2:
        return

    def told(claim: str, wanted: str, found: Interval, holds: bool) -> Claim:
        return Claim(claim, learners, phase, wanted, *found, seeds, holds)

    def behind(model: str) -> tuple[str, Interval]:
        """The best model, and by how much another is below it."""
        others = trained - {ORACLE}
        best = max(others, key=lambda each: study.above(learners, each, model, phase).mean)
        return best, study.above(learners, best, model, phase)

    if learners in _LEARN and {STATIC, *_RECURRENT} <= trained:
        gains = {model: study.above(learners, model, STATIC, phase) for model in _RECURRENT}
        least = min(gains, key=lambda model: gains[model].low)
        claim = f"every recurrent model above static (least sure: {least})"
        yield told(claim, "> 0", gains[least], gains[least].low > 0)
    if learners == "static" and STATIC in trained:
        best, found = behind(STATIC)
        yield told(f"static near the best ({best})", f"<= {_NEAR}", found, found.mean <= _NEAR)
    if learners == "exemplar" and "exemplar" in trained:
        best, found = behind("exemplar")
        yield told(f"the exemplar model near the best ({best})", f"<= {_NEAR}", found, found.mean <= _NEAR)
    if learners == "gradient" and {"dkt", _PUBLISHED} <= trained:
        found = study.above(learners, "dkt", _PUBLISHED, phase)
        yield told(f"DKT, which sees no image, below {_PUBLISHED}", "< 0", found, found.high < 0)
    if _OURS not in trained:
        return
    if learners == "gradient" and STATIC in trained:
        found, _ = study.share(learners, _OURS, phase)
        wanted = f">= {_SHARE:.0%}"
        yield told(f"share of the gap that {_OURS} closes", wanted, found, found.mean >= _SHARE)
    if published := trained - {ORACLE, _OURS}:
        if learners in _LEARN:
            ahead = {model: study.above(learners, _OURS, model, phase) for model in published}
            nearest = min(ahead, key=lambda model: ahead[model].mean)
            claim = f"{_OURS} above every published model (nearest: {nearest})"
            yield told(claim, "> 0", ahead[nearest], ahead[nearest].low > 0)
        if _PUBLISHED in published:
            found = study.above(learners, _OURS, _PUBLISHED, phase)
            yield told(f"{_OURS} not below {_PUBLISHED}", f">= -{_NEAR}", found, found.mean >= -_NEAR)


def summary(claims: tuple[Claim, ...]) -> str:
    """The claims in plain words, a line each."""
    lines = []
    for each in claims:
        spread = "" if math.isnan(each.low) else f" ({each.low:.3f} to {each.high:.3f})"
        verdict = "reached" if each.holds else "not reached"
        lines.append(
            f"{each.learners} learners, {each.phase}: {each.claim}: {each.found:.3f}{spread}, "
            f"wanted {each.wanted}: {verdict}"
        )
    return "\n".join(lines)
