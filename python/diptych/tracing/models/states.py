"""States of models, whatever tensors they are made of."""

import torch

from diptych.tracing.models.model import State


def taken(state: State, learners: torch.Tensor) -> State:
    """The states of some learners, by number (k,), in that order; one may be taken more than once.

    Complexity:
        A copy of what is taken.
    """
    if isinstance(state, tuple):
        parts = [taken(each, learners) for each in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state[learners]


def size(state: State) -> int:
    """How many numbers are known of each learner."""
    if isinstance(state, tuple):
        return sum(size(each) for each in state)
    return state[:1].numel()
