"""Collecting people's answers: a local web page that shows trials, one kind of trial a small class.

:class:`Ranking` makes the trials of :mod:`diptych.tracing`. Needs ``pip install 'diptych[collect]'``.
"""

from diptych.collect.export import Exported, export
from diptych.collect.folder import Pictures
from diptych.collect.ranking import Ranking
from diptych.collect.serving import listen, serve
from diptych.collect.store import Learner, Store
from diptych.collect.study import Study
from diptych.collect.trials import Trial, TrialKind

__all__ = [
    "Exported",
    "Learner",
    "Pictures",
    "Ranking",
    "Store",
    "Study",
    "Trial",
    "TrialKind",
    "export",
    "listen",
    "serve",
]
