"""Comparisons by RSVC with known concepts: the second network lacks one."""

from typing import Any

import numpy as np

from diptych import rsvc

IMAGES, PATCHES, K = 12, 4, 3
NAMES = ("first net", "second net")
#: The concept that the second network lacks.
MISSING = 1


def activations(seed: int) -> tuple[Any, Any, Any]:
    """Of both networks on 48 patches of 12 images, and the image of each patch."""
    rng = np.random.default_rng(seed)
    u = rng.exponential(1.0, (IMAGES * PATCHES, K)) * (rng.random((IMAGES * PATCHES, K)) < 0.6)
    other = u.copy()
    other[:, MISSING] = rng.permutation(u[:, MISSING])
    patterns = np.kron(np.eye(K), np.ones((1, 4)))
    noise = 0.05 * rng.random((2, len(u), 4 * K))
    return u @ patterns + noise[0], other @ patterns + noise[1], np.repeat(np.arange(IMAGES), PATCHES)


def comparison(seed: int = 0, *, heads: bool = True, same: bool = False, k: int = K) -> rsvc.RSVCResult:
    """A comparison on 48 evaluation patches of other images."""
    first, second, groups = activations(2 * seed)
    fresh = activations(2 * seed + 1)
    if same:
        second, fresh = first, (fresh[0], fresh[0], fresh[2])
    head = (np.random.default_rng(9).normal(size=(5, first.shape[1])), None) if heads else None
    found = rsvc.compare(
        first,
        second,
        k=k,
        groups=groups,
        eval_acts_1=fresh[0],
        eval_acts_2=fresh[1],
        eval_groups=fresh[2],
        head_1=head,
        head_2=head,
        target=2 if heads else None,
        progress=False,
    )
    found.names = NAMES
    return found


def pictures(seed: int = 0, side: int = 6) -> Any:
    """48 pictures that all differ."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (IMAGES * PATCHES, side, side, 3), dtype=np.uint8)
