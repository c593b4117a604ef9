"""Numerosity: does an embedding of scenes have a number line?

Kondapaneni & Perona, "A number sense as an emergent property of the manipulating brain", Scientific Reports
14:6858 (2024), doi 10.1038/s41598-024-56828-2.
"""

from diptych.numerosity.absolute import (
    HUMAN_EXPONENT,
    HUMAN_EXPONENT_SPREAD,
    AbsoluteQuantity,
    absolute_quantity,
    exponent_sampling_interval,
)
from diptych.numerosity.action_error import ActionError, action_error
from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.covariates import (
    CovariateAnalysis,
    CovariateErrors,
    analyze_covariates,
    covariate_errors,
    partial_correlations,
)
from diptych.numerosity.distances import ActionDistances, action_distances
from diptych.numerosity.inputs import COVARIATES
from diptych.numerosity.islands import Islands, Sweep, find_islands, island_sweep, subitizing_limit
from diptych.numerosity.linearity import linear_error
from diptych.numerosity.method import analyze
from diptych.numerosity.order import IslandOrder, island_order
from diptych.numerosity.perceived import perceived_number, rank_agreement, share_near
from diptych.numerosity.relative import RelativeQuantity, relative_quantity
from diptych.numerosity.reproducibility import Reproducibility, reproducibility
from diptych.numerosity.results import NumberLine

__all__ = [
    "ACTIONS",
    "COVARIATES",
    "HUMAN_EXPONENT",
    "HUMAN_EXPONENT_SPREAD",
    "AbsoluteQuantity",
    "ActionDistances",
    "ActionError",
    "CovariateAnalysis",
    "CovariateErrors",
    "IslandOrder",
    "Islands",
    "NumberLine",
    "RelativeQuantity",
    "Reproducibility",
    "Sweep",
    "absolute_quantity",
    "action_distances",
    "action_error",
    "analyze",
    "analyze_covariates",
    "covariate_errors",
    "exponent_sampling_interval",
    "find_islands",
    "island_order",
    "island_sweep",
    "linear_error",
    "partial_correlations",
    "perceived_number",
    "rank_agreement",
    "relative_quantity",
    "reproducibility",
    "share_near",
    "subitizing_limit",
]
