"""What is remembered step by step, of learners who need not have made equally many."""

from typing import NamedTuple

import torch


class History(NamedTuple):
    """What n learners have seen.

    Attributes:
        steps: (n, t, width) a row for each step, zeros behind a learner's last.
        made: (n,) int64 steps of each.
    """

    steps: torch.Tensor
    made: torch.Tensor

    def and_then(self, step: torch.Tensor) -> "History":
        """One step more of each learner: (n, width)."""
        learners = torch.arange(len(step), device=step.device)
        steps = torch.cat([self.steps, torch.zeros_like(step)[:, None]], 1)
        return History(steps.index_put((learners, self.made), step), self.made + 1)


def history(steps: torch.Tensor, training: torch.Tensor) -> History:
    """The history of learners after steps (n, t, width), of whose first ones (n, t) bool is true."""
    return History(steps * training[..., None], training.sum(1))
