"""One comparison for each alignment of the same two representations."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diptych.rdx.inputs import Source
from diptych.rdx.method import compare
from diptych.rdx.results import RDXResult

#: What can be done with two representations before they are compared.
ALIGNS = ("none", "a_to_b", "b_to_a")
_ALL = "all"


def check_aligns(aligns: str | Sequence[str]) -> tuple[str, ...]:
    """The alignments that are asked for: "all" stands for each of :data:`ALIGNS`.

    Raises:
        ValueError: None, another one, or one twice.
    """
    given = (aligns,) if isinstance(aligns, str) else tuple(aligns)
    if given == (_ALL,):
        return ALIGNS
    known = ", ".join(map(repr, ALIGNS))
    if not given or not set(given) <= set(ALIGNS):
        raise ValueError(f"align: expected some of {known}, or 'all' alone, found {list(given)!r}")
    if len(set(given)) < len(given):
        raise ValueError(f"align: expected each once, found {list(given)!r}")
    return given


def place_of(folder: Path, align: str, aligns: Sequence[str]) -> Path:
    """Where one of several comparisons keeps its files; a single one has the folder to itself."""
    return folder if len(aligns) == 1 else folder / align


def compare_aligned(
    a: Source,
    b: Source,
    *,
    aligns: str | Sequence[str] = ("none", "a_to_b"),
    workspace: str | os.PathLike[str] | None = None,
    **options: Any,
) -> dict[str, RDXResult]:
    """Compare two representations as they are and aligned: :func:`diptych.rdx.compare`, once for each.

    Args:
        a: (n, d_a) embeddings, as :func:`diptych.rdx.compare` takes them.
        b: (n, d_b) embeddings of the same items in the same order.
        aligns: Which of "none", "a_to_b" and "b_to_a", or "all".
        workspace: As for a single comparison; several have a folder each in it, of the alignment's name.
        **options: All others of :func:`diptych.rdx.compare`.

    Returns:
        The results by alignment, in this order; they share their embeddings.

    Complexity:
        That of as many comparisons, one after the other.

    Raises:
        ValueError: No alignment, another one or one twice, and as :func:`diptych.rdx.compare`.
        TypeError: As :func:`diptych.rdx.compare`.
    """
    several = check_aligns(aligns)
    found: dict[str, RDXResult] = {}
    for each in several:
        result = compare(
            a,
            b,
            align=None if each == "none" else each,
            workspace=None if workspace is None else place_of(Path(workspace), each, several),
            **options,
        )
        # Read from files they would lie in memory once for each.
        result.embeddings = found[several[0]].embeddings if found else result.embeddings
        found[each] = result
    return found
