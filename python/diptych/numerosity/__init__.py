"""Numerosity: a network that names the actions between two scenes, and the number line it comes to hold.

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
from diptych.numerosity.claims import Claim, Run
from diptych.numerosity.covariates import (
    CovariateAnalysis,
    CovariateErrors,
    analyze_covariates,
    covariate_errors,
    partial_correlations,
)
from diptych.numerosity.data import Pairs, Scenes, Sequence, balanced, pair_up, scenes, sequences
from diptych.numerosity.distances import ActionDistances, action_distances
from diptych.numerosity.evaluate import Evaluation, evaluate
from diptych.numerosity.islands import Islands, Sweep, find_islands, island_sweep, subitizing_limit
from diptych.numerosity.laws import COVARIATES, DATASETS, Renderer, SceneLaw
from diptych.numerosity.linearity import linear_error
from diptych.numerosity.method import analyze
from diptych.numerosity.models import Architecture, NumberNet
from diptych.numerosity.order import IslandOrder, island_order
from diptych.numerosity.perceived import perceived_number, rank_agreement, share_near
from diptych.numerosity.probe import probe, respond
from diptych.numerosity.relative import RelativeQuantity, relative_quantity
from diptych.numerosity.reproduce import BUDGETS, Study, reproduce
from diptych.numerosity.reproducibility import Reproducibility, reproducibility
from diptych.numerosity.results import NumberLine
from diptych.numerosity.train import train

__all__ = [
    "ACTIONS",
    "BUDGETS",
    "COVARIATES",
    "DATASETS",
    "HUMAN_EXPONENT",
    "HUMAN_EXPONENT_SPREAD",
    "AbsoluteQuantity",
    "ActionDistances",
    "ActionError",
    "Architecture",
    "Claim",
    "CovariateAnalysis",
    "CovariateErrors",
    "Evaluation",
    "IslandOrder",
    "Islands",
    "NumberLine",
    "NumberNet",
    "Pairs",
    "RelativeQuantity",
    "Renderer",
    "Reproducibility",
    "Run",
    "SceneLaw",
    "Scenes",
    "Sequence",
    "Study",
    "Sweep",
    "absolute_quantity",
    "action_distances",
    "action_error",
    "analyze",
    "analyze_covariates",
    "balanced",
    "covariate_errors",
    "evaluate",
    "exponent_sampling_interval",
    "find_islands",
    "island_order",
    "island_sweep",
    "linear_error",
    "pair_up",
    "partial_correlations",
    "perceived_number",
    "probe",
    "rank_agreement",
    "relative_quantity",
    "reproduce",
    "reproducibility",
    "respond",
    "scenes",
    "sequences",
    "share_near",
    "subitizing_limit",
    "train",
]
