"""Choosing the sensitivity gamma by the binary success rate it leads to."""

import math
from collections.abc import Sequence
from typing import Any

from diptych.rdx.inputs import Source
from diptych.rdx.method import compare
from diptych.rdx.results import RDXResult

GAMMAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def gamma_sweep(
    a: Source, b: Source, gammas: Sequence[float] = GAMMAS, **options: Any
) -> tuple[RDXResult, dict[float, float]]:
    """Compare at several gammas and keep the one of best mean BSR over both directions.

    Args:
        a: As in :func:`diptych.rdx.compare`.
        b: As in :func:`diptych.rdx.compare`.
        gammas: Values to try; the smaller wins a tie.
        **options: Passed on to :func:`diptych.rdx.compare`.

    Returns:
        The best result, and each gamma's mean BSR (NaN where there was no difference to explain).

    Complexity:
        One comparison per gamma.

    Raises:
        ValueError: No gammas, a difference without gamma, or as :func:`diptych.rdx.compare`.
    """
    values = sorted({float(gamma) for gamma in gammas})
    if not values:
        raise ValueError("gammas: expected at least one value, found none")
    if "gamma" in options:
        raise ValueError("gamma: expected in gammas, found as an option")
    if options.get("difference") == "subtraction":
        raise ValueError("difference: expected one that depends on gamma, found 'subtraction'")
    best: RDXResult | None = None
    best_rate = -math.inf
    rates: dict[float, float] = {}
    for gamma in values:
        result = compare(a, b, gamma=gamma, **options)
        rates[gamma] = (result.a.bsr + result.b.bsr) / 2
        if best is None or rates[gamma] > best_rate:
            best, best_rate = result, -math.inf if math.isnan(rates[gamma]) else rates[gamma]
    assert best is not None
    return best, rates
