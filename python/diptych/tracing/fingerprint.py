"""Which answers something was made from: digests of sequences and of learners."""

import hashlib
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.tracing.sequences import Sequences

_BYTES = 16


def fingerprint(sequences: Sequences) -> str:
    """A digest of all that models see of sequences: answers, names, features and pixels.

    BLAKE2b, 32 hexadecimal digits. Of images that are files the names count, not the content.

    Complexity:
        A pass over all of it.
    """
    said = hashlib.blake2b(digest_size=_BYTES)
    for names in (sequences.classes, sequences.items, sequences.learners):
        said.update(repr(names).encode())
    for name in ("labels", "learner", "item", "response", "test", "seconds", "features", "images"):
        _add(said, name, getattr(sequences, name))
    return said.hexdigest()


def of_learners(sequences: Sequences) -> list[str]:
    """A digest of each learner: its name, what it was shown, and what it answered.

    Learners of the same name who answered otherwise are others.
    """
    return [each[-1] for each in _on_the_way(sequences)]


def begun_as(sequences: Sequences, digests: Collection[str]) -> NDArray[np.bool_]:
    """(L,) which learners have one of the digests of :func:`of_learners`, now or after one of their steps.

    So somebody who has answered more since is the same one.

    Complexity:
        O(n) digests for n steps.
    """
    known = set(digests)
    return np.array([not known.isdisjoint(each) for each in _on_the_way(sequences)], bool)


def _on_the_way(sequences: Sequences) -> Iterator[list[str]]:
    """Of each learner the digests after each step; of one without steps that of its name."""
    columns = (sequences.item.tolist(), sequences.response.tolist(), sequences.test.tolist())
    steps = zip(*columns, strict=True)
    for name, length in zip(sequences.learners, sequences.lengths.tolist(), strict=True):
        said = hashlib.blake2b(repr(name).encode(), digest_size=_BYTES)
        digests = [] if length else [said.hexdigest()]
        for item, response, test in islice(steps, length):
            said.update(repr((sequences.items[item], response, test)).encode())
            digests.append(said.hexdigest())
        yield digests


def _add(said: Any, name: str, array: Any) -> None:
    if array is None:
        said.update(f"no {name}".encode())
        return
    whole = np.ascontiguousarray(array)
    said.update(f"{name} {whole.shape} {whole.dtype.str}".encode())
    said.update(whole.view(np.uint8).reshape(-1).data)
