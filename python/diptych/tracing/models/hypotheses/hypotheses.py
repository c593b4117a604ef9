"""What all kinds of hypotheses have in common: traits that are learned, and lapses."""

from typing import NamedTuple

import torch
from torch import nn

# Nobody is so certain that an answer would be impossible.
_LEAST_LAPSE = 1e-4


class Remembered(NamedTuple):
    """The images that n learners were told the classes of.

    Attributes:
        images: (n, t, r) as learners see them.
        classes: (n, t, C) one-hot; zeros where nothing is.
        age: (n or 1, m or 1, t) steps of training since, 0 for the last, as seen from m moments; below 0 for
            what comes later.
    """

    images: torch.Tensor
    classes: torch.Tensor
    age: torch.Tensor


class Hypotheses(nn.Module):
    """K hypotheses of one kind.

    Args:
        count: K.
        lapse: Of the first and of the last hypothesis, at first.
    """

    def __init__(self, count: int, lapse: tuple[float, float] = (0.03, 0.15)) -> None:
        super().__init__()
        self.count = count
        self.lapse_logit = nn.Parameter(torch.linspace(*lapse, count).logit())

    @property
    def lapse(self) -> torch.Tensor:
        """(K,) probabilities of an answer at random."""
        return _LEAST_LAPSE + (1 - _LEAST_LAPSE) * self.lapse_logit.sigmoid()

    def lapsing(self, choice: torch.Tensor) -> torch.Tensor:
        """Probabilities (n, K, m, C) of those who may lapse, from those of who does not."""
        lapse = self.lapse[:, None, None]
        return (1 - lapse) * choice + lapse / choice.shape[-1]


def between(least: float, largest: float, count: int) -> nn.Parameter:
    """(K,) logarithms of numbers from the least to the largest, the middles of K equal parts."""
    low, high = torch.tensor([least, largest]).log().tolist()
    return nn.Parameter(low + (high - low) * (torch.arange(count) + 0.5) / count)


def kept(forgetting: torch.Tensor, age: torch.Tensor) -> torch.Tensor:
    """(n or 1, K, m or 1, t) shares left of what is of an age; 0 of what comes later."""
    share = (1 - forgetting[:, None, None]) ** age.clamp(min=0)[:, None]
    return share * (age >= 0)[:, None]
