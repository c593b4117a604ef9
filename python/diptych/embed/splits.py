"""The suggested splits of data sets."""

from typing import Literal, get_args

Split = Literal["all", "train", "test"]


def check_split(split: str) -> None:
    """Demand a split there is."""
    if split not in get_args(Split):
        known = ", ".join(map(repr, get_args(Split)))
        raise ValueError(f"split: expected one of {known}, found {split!r}")
