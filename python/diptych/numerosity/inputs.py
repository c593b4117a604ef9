"""What the analyses take, checked: embeddings, counts, pairs, actions and covariates."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.laws import COVARIATES
from diptych.ops import _checks
from diptych.ops._arrays import Array, to_tensor

if TYPE_CHECKING:
    import pandas

    Frame: TypeAlias = pandas.DataFrame

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Items:
    """Everything an analysis is given, fitting together.

    Attributes:
        embeddings: (N, d) float64.
        counts: (N,) number of objects.
        pairs: (P, 2) items before and after an action, or None.
        actions: (P,) what was done, numbers in :data:`~diptych.numerosity.ACTIONS`, or None.
        predicted: (P,) what a classifier named, or None.
        covariates: (N,) float64 of each name in :data:`COVARIATES`; empty without.
    """

    embeddings: Floats
    counts: Integers
    pairs: Integers | None = None
    actions: Integers | None = None
    predicted: Integers | None = None
    covariates: dict[str, Floats] = field(default_factory=dict)


def checked(
    embeddings: Array,
    counts: Array,
    pairs: Array | None,
    actions: Array | None,
    predicted: Array | None,
    covariates: "Frame | None",
) -> Items:
    """Check all arguments of an analysis against each other.

    Raises:
        ValueError: As :func:`diptych.numerosity.analyze`.
        TypeError: As :func:`diptych.numerosity.analyze`.
    """
    z = matrix("embeddings", embeddings)
    number = count_vector("counts", counts, len(z))
    needs_unit(number)
    if pairs is None:
        for name, given in (("actions", actions), ("predicted", predicted)):
            if given is not None:
                raise ValueError(f"{name}: expected with pairs alone, found without")
    elif actions is None:
        raise ValueError("actions: expected the true action of each pair, found None")
    links = None if pairs is None else pair_rows(pairs, len(z))
    of = 0 if links is None else len(links)
    done = None if actions is None else action_vector("actions", actions, of)
    if links is not None and done is not None:
        lawful(number[links[:, 0]], number[links[:, 1]], done)
    return Items(
        z,
        number,
        links,
        done,
        None if predicted is None else action_vector("predicted", predicted, of),
        {} if covariates is None else covariate_columns(covariates, len(z)),
    )


def matrix(name: str, given: Array) -> Floats:
    """An (n, d) matrix of finite numbers whose squares float64 can hold, as float64 in numpy."""
    tensor = to_tensor(name, given).detach()
    _checks.matrix(name, tensor)
    wide = tensor.to("cpu", torch.float64).contiguous()
    _checks.squarable(name, wide)
    return wide.numpy()


def vector(name: str, given: Array, n: int | None = None) -> Floats:
    """An (n,) vector of finite numbers, as float64 in numpy."""
    tensor = to_tensor(name, given).detach()
    if tensor.ndim != 1 or n not in (None, len(tensor)):
        raise ValueError(f"{name}: expected shape ({'n' if n is None else n},), found {tuple(tensor.shape)}")
    if len(tensor) == 0:
        raise ValueError(f"{name}: expected at least one item, found none")
    _checks.finite(name, tensor)
    return tensor.to("cpu", torch.float64).numpy()


def integers(name: str, given: Array, n: int | None = None) -> Integers:
    """An (n,) vector of whole numbers, as int64 in numpy; floats that are whole are taken."""
    found = vector(name, given, n)
    if np.abs(found).max() > _checks.INT32_MAX:
        raise ValueError(f"{name}: expected at most {_checks.INT32_MAX}, found {np.abs(found).max():g}")
    if (found != np.round(found)).any():
        row = int(np.argmax(found != np.round(found)))
        raise ValueError(f"{name}: expected whole numbers, found {found[row]:g} in row {row}")
    return found.astype(np.int64)


def count_vector(name: str, given: Array, n: int | None = None) -> Integers:
    """Numbers of objects: whole and at least 0."""
    found = integers(name, given, n)
    if found.min() < 0:
        raise ValueError(f"{name}: expected numbers of objects, at least 0, found {found.min()}")
    return found


def needs_unit(counts: Integers) -> None:
    """Demand items without objects and with one: the origin and the unit of perceived number."""
    present = np.unique(counts)
    if len(present) == 1:
        raise ValueError(f"counts: expected several numbers of objects, found {present[0]} alone")
    for number in (0, 1):
        if number not in present:
            raise ValueError(
                f"counts: expected items of count {number}, which perceived number is measured by, found none"
            )


def action_vector(name: str, given: Array, n: int | None = None) -> Integers:
    """Numbers of actions, 0 to 2."""
    found = integers(name, given, n)
    if found.min() < 0 or found.max() >= len(ACTIONS):
        wrong = found[(found < 0) | (found >= len(ACTIONS))][0]
        named = ", ".join(f"{number} ({action})" for number, action in enumerate(ACTIONS))
        raise ValueError(f"{name}: expected {named}, found {wrong}")
    return found


def pair_rows(given: Array, n: int) -> Integers:
    """Pairs (before, after) of items 0 to n − 1."""
    tensor = to_tensor("pairs", given).detach()
    if tensor.ndim != 2 or tensor.shape[1] != 2 or len(tensor) == 0:
        raise ValueError(f"pairs: expected shape (P, 2) with P at least 1, found {tuple(tensor.shape)}")
    found = integers("pairs", tensor.reshape(-1)).reshape(-1, 2)
    if found.min() < 0 or found.max() >= n:
        raise ValueError(f"pairs: expected items 0 to {n - 1}, found {found.min()} to {found.max()}")
    return found


def lawful(before: Integers, after: Integers, actions: Integers) -> None:
    """Demand that no put lowers the count, no take raises it and no shake changes it."""
    change = after - before
    put, take, shake = (actions == number for number in range(len(ACTIONS)))
    wrong = (put & (change < 0)) | (take & (change > 0)) | (shake & (change != 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"actions: pair {row} goes from {before[row]} to {after[row]} objects, which is no "
            f"{ACTIONS[actions[row]]}"
        )


def covariate_columns(given: Any, n: int) -> dict[str, Floats]:
    """The covariates of n items, by name, of a DataFrame or a mapping of columns."""
    if not hasattr(given, "keys"):
        raise TypeError(f"covariates: expected a DataFrame or a mapping, found {type(given).__name__}")
    missing = [name for name in COVARIATES if name not in given]
    if missing:
        found = ", ".join(str(name) for name in given)
        raise ValueError(f"covariates: expected columns {', '.join(COVARIATES)}, found {found or 'none'}")
    columns = {name: vector(f"covariates[{name!r}]", np.asarray(given[name]), n) for name in COVARIATES}
    for name, column in columns.items():
        if column.min() < 0:
            raise ValueError(f"covariates[{name!r}]: expected at least 0, found {column.min():g}")
    return columns
