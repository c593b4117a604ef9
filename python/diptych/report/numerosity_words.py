"""What the page of a number line says in sentences."""

import math

from diptych.numerosity.absolute import HUMAN_EXPONENT, HUMAN_EXPONENT_SPREAD
from diptych.numerosity.results import NumberLine, Parameters
from diptych.report.words import count, decimal, percent

# From which rank correlation on items are said to lie in the order of their number, and up to which linear
# error on a line; the limits are ours.
_ORDERED, _STRAIGHT = 0.9, 0.15

#: What the stems of a study are.
STEMS = {
    "imagenet": "AlexNet’s first two convolutions as trained on ImageNet, frozen",
    "random": "AlexNet’s first two convolutions with random weights, frozen",
    "trained": "AlexNet’s first two convolutions, trained along",
}


def finding(line: NumberLine) -> list[str]:
    """The outcome in plain sentences: whether there is a line, what is subitized, how number is estimated."""
    return [_lined(line), _subitized(line), *_estimated(line)]


def _lined(line: NumberLine) -> str:
    found = f"Spearman {decimal(line.spearman, 3)}, linear error {decimal(line.linear_error, 3)}"
    told = f"({found}; our limits for a line are {_ORDERED} and {_STRAIGHT})"
    if not line.spearman >= _ORDERED:
        return f"The embedding has no number line: its items are hardly in the order of their number {told}."
    if line.linear_error > _STRAIGHT:
        return f"Perceived number follows true number, but the items do not lie on a line {told}."
    return f"The embedding has a number line: its items lie on it in the order of their number {told}."


def _subitized(line: NumberLine) -> str:
    limit, n = line.subitizing_limit, line.islands.n
    there = "There is one island" if n == 1 else f"There are {count(n, 'island')}"
    if limit < 0:
        return f"{there}, and not even 0 has one of its own."
    return f"{there}, and {f'each of 0 to {limit}' if limit else '0 alone'} has one of its own."


def _estimated(line: NumberLine) -> list[str]:
    highest, mean = line.absolute.counts[-1], line.absolute.mean[-1]
    sentences = [
        f"{count(int(highest), 'object').capitalize()} {'is' if highest == 1 else 'are'} perceived as "
        f"{decimal(float(mean), 1)}, on average."
    ]
    if line.exponent is not None and line.exponent_interval is not None:
        low, high = line.exponent_interval
        sentences.append(
            f"Perceived number grows as a power of the true one, with the exponent {decimal(line.exponent)} "
            f"(95 % interval {decimal(low)} to {decimal(high)}); people’s is {HUMAN_EXPONENT} ± "
            f"{HUMAN_EXPONENT_SPREAD}."
        )
    return sentences


def facts(line: NumberLine) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of the figures at the head of the page."""
    low, high = int(line.counts.min()), int(line.counts.max())
    found = [
        ("Items", f"{len(line.counts):,}", f"of {low} to {high} objects"),
        ("Linear error", decimal(line.linear_error, 3), "‖E − E₁‖ / ‖E‖, centered; 0 is a line"),
        ("Spearman", decimal(line.spearman, 3), "of perceived and true number"),
        ("Subitizing limit", str(line.subitizing_limit), "islands and counts match up to it; −1 is never"),
        ("Within 15 %", percent(line.within_15_percent), "of the counts, in the mean of their items"),
    ]
    if line.weber_fraction is not None:
        meaning = f"against {line.parameters.reference}{_interval(line.weber_interval, 3)}"
        found.append(("Weber fraction", finite(line.weber_fraction, 3), meaning))
    if line.exponent is not None:
        found.append(("Exponent", decimal(line.exponent), f"power law{_interval(line.exponent_interval, 2)}"))
    if line.action_error is not None:
        share, *ends = line.action_error.overall
        meaning = f"of {line.action_error.pairs.sum():,}{_percent_interval(ends[0], ends[1])}"
        found.append(("Actions named wrongly", percent(share, 1), meaning))
    return found


def notes(line: NumberLine) -> list[str]:
    """What the analysis says itself, and what it was not given."""
    found = list(line.notes)
    if line.embeddings is None:
        found.append("The embeddings were not saved with this result: the page has no map.")
    if line.pairs is None:
        found.append("No pairs of scenes were given: nothing is said of actions, or of the order of islands.")
    elif line.action_error is None:
        found.append("No named actions were given: nothing is said of errors of action naming.")
    if not line.covariate_values:
        found.append("No covariates were given: nothing is said of intensity, area and hull.")
    return found


def finite(value: float, digits: int = 2) -> str:
    """A number with fixed decimals; a dash for NaN, a sign for Inf."""
    return "∞" if math.isinf(value) else decimal(value, digits)


def _interval(ends: tuple[float, float] | None, digits: int) -> str:
    if ends is None or math.isnan(ends[0]):
        return ""
    return f", 95 % interval {finite(ends[0], digits)} to {finite(ends[1], digits)}"


def _percent_interval(low: float, high: float) -> str:
    return f", 95 % interval {percent(low, 1)} to {percent(high, 1)}"


def python_call(parameters: Parameters, line: NumberLine) -> str:
    """The Python call that repeats an analysis."""
    given = [
        name
        for name, value in (
            ("pairs", line.pairs),
            ("actions", line.actions),
            ("predicted", line.predicted),
            ("covariates", line.covariate_values or None),
        )
        if value is not None
    ]
    options = [f"{name}={name}" for name in given]
    options += [f"{name}={value!r}" for name, value in vars(parameters).items()]
    arguments = ",\n    ".join(options)
    return f"line = diptych.numerosity.analyze(\n    embeddings, counts,\n    {arguments},\n)"


def study_finding(stem: str, runs: int, holding: int, claims: int) -> list[str]:
    """The outcome of a study in plain sentences."""
    networks = f"{count(runs, 'network').capitalize()} {'was' if runs == 1 else 'were'} trained"
    stood = f"{networks} on the stem “{stem}”{' (' + STEMS[stem] + ')' if stem in STEMS else ''}."
    if claims == 0:
        return [stood, "No claim was put to the test."]
    if holding == claims:
        return [stood, "All claims of the thesis are reached."]
    held, missed = (f"{number} {'is' if number == 1 else 'are'}" for number in (holding, claims - holding))
    return [stood, f"Of {claims:,} claims of the thesis {held} reached, and {missed} not."]


def study_call(stem: str) -> str:
    """The Python call that repeats a study."""
    return f"study = diptych.numerosity.reproduce(\n    out,\n    stem={stem!r},\n)"
