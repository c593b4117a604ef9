"""The kinds of trials, by name."""

from diptych.collect.ranking import Ranking
from diptych.collect.trials import TrialKind

KINDS: dict[str, type[TrialKind]] = {kind.name: kind for kind in (Ranking,)}
