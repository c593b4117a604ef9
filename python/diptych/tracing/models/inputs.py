"""What a step tells a model beside its image: classes, who was right how often, how long it took."""

import torch
from torch import nn


def one_hot(classes: torch.Tensor, count: int, like: torch.Tensor) -> torch.Tensor:
    """(..., count) ones at the classes (...), in another tensor's precision."""
    return nn.functional.one_hot(classes, count).to(like.dtype)


def log_seconds(seconds: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    """(..., 1) logarithms of one plus the response times (...): 0 where a time is unknown.

    Raises:
        ValueError: The sequences have no response times.
    """
    if seconds is None:
        raise ValueError("seconds: expected sequences with response times, found none")
    return torch.log1p(seconds).to(like.dtype)[..., None]


class Tally:
    """Counts of what was seen and what was right, class by class.

    A tally is a tensor (..., 2, C): how many images of a class were seen, and how many of them were answered
    rightly.
    """

    @staticmethod
    def of(labels: torch.Tensor, responses: torch.Tensor, count: int, like: torch.Tensor) -> torch.Tensor:
        """(..., 2, C) of single answers (...)."""
        seen = one_hot(labels, count, like)
        right = (labels == responses).to(like.dtype)[..., None] * seen
        return torch.stack([seen, right], -2)

    @staticmethod
    def share(tally: torch.Tensor) -> torch.Tensor:
        """(..., C) shares of right answers; -1 for a class that was not seen."""
        seen, right = tally.unbind(-2)
        return torch.where(seen > 0, right / seen.clamp(min=1), -1)


def class_accuracy(
    labels: torch.Tensor, responses: torch.Tensor, counted: torch.Tensor, classes: int, like: torch.Tensor
) -> torch.Tensor:
    """Each class's share of right answers so far, one step late: what came before a step is told in it.

    Args:
        labels: (B, T) int64 true classes.
        responses: (B, T) int64 answers.
        counted: (B, T) bool, which steps count.
        classes: How many there are.
        like: A tensor of the precision wanted.

    Returns:
        (B, T, C), -1 for a class that was not seen before the step.
    """
    single = Tally.of(labels, responses, classes, like) * counted[..., None, None]
    return Tally.share(single.cumsum(1) - single)
