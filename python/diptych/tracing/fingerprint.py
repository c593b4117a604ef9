"""Which answers something was made from: digests of sequences and of learners."""

import hashlib
from typing import Any

import numpy as np

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
    ends = np.cumsum(sequences.lengths)
    digests = []
    for name, first, last in zip(sequences.learners, ends - sequences.lengths, ends, strict=True):
        said = hashlib.blake2b(repr(name).encode(), digest_size=_BYTES)
        said.update(repr([sequences.items[each] for each in sequences.item[first:last]]).encode())
        _add(said, "response", sequences.response[first:last])
        _add(said, "test", sequences.test[first:last])
        digests.append(said.hexdigest())
    return digests


def _add(said: Any, name: str, array: Any) -> None:
    if array is None:
        said.update(f"no {name}".encode())
        return
    whole = np.ascontiguousarray(array)
    said.update(f"{name} {whole.shape} {whole.dtype.str}".encode())
    said.update(whole.view(np.uint8).reshape(-1).data)
