"""Several alignments of the same two representations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_definition import gathered

from diptych import ops
from diptych.rdx import RDXResult, align_by_cka, compare, compare_aligned

OPTIONS: dict[str, Any] = {"n_explanations": 2, "grid_size": 4, "progress": False}


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    a, b = gathered(80, 15)
    return a, b


@pytest.fixture(scope="module")
def found(pair: tuple[np.ndarray, np.ndarray]) -> dict[str, RDXResult]:
    return compare_aligned(*pair, aligns="all", **OPTIONS)


def test_each_is_the_comparison_with_that_alignment(
    pair: tuple[np.ndarray, np.ndarray], found: dict[str, RDXResult]
) -> None:
    assert list(found) == ["none", "a_to_b", "b_to_a"]
    for align, result in found.items():
        alone = compare(*pair, align=None if align == "none" else align, **OPTIONS)
        assert result.parameters == alone.parameters
        for mine, theirs in ((result.a, alone.a), (result.b, alone.b)):
            assert [grid.tolist() for grid in mine.grids] == [grid.tolist() for grid in theirs.grids]
            assert (mine.bsr, mine.raw_bsr) == (theirs.bsr, theirs.raw_bsr)
        assert result.embeddings is found["none"].embeddings
    assert list(compare_aligned(*pair, **OPTIONS)) == ["none", "a_to_b"]


def test_cka_after_alignment(pair: tuple[np.ndarray, np.ndarray], found: dict[str, RDXResult]) -> None:
    a, b = pair
    assert found["none"].aligned_cka is None
    for align, mapped in (
        ("a_to_b", (a @ align_by_cka(a, b, seed=0).matrix, b)),
        ("b_to_a", (a, b @ align_by_cka(b, a, seed=0).matrix)),
    ):
        result = found[align]
        assert result.aligned_cka == pytest.approx(float(ops.linear_cka(*mapped)), abs=1e-5)
        assert result.aligned_cka > result.cka == found["none"].cka


def test_each_has_a_folder_of_the_workspace(pair: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    options = OPTIONS | {"precision": "int8", "workspace": tmp_path / "w"}
    compare_aligned(*pair, aligns=["b_to_a", "none"], **options)
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["b_to_a", "none"]
    with pytest.raises(FileExistsError, match="b_to_a: holds an unfinished comparison"):
        compare_aligned(*pair, aligns=["b_to_a", "none"], **options)
    again = compare_aligned(*pair, aligns=["a_to_b", "none"], resume=True, **options)
    assert list(again) == ["a_to_b", "none"]
    compare_aligned(*pair, aligns="none", **OPTIONS | {"precision": "int8", "workspace": tmp_path / "one"})
    assert (tmp_path / "one" / "job.json").is_file()


@pytest.mark.parametrize(
    ("aligns", "message"),
    [
        ([], r"align: expected some of 'none', 'a_to_b', 'b_to_a', or 'all' alone, found \[\]"),
        (["a_to_b", "c"], r"or 'all' alone, found \['a_to_b', 'c'\]"),
        (["all", "none"], r"or 'all' alone, found \['all', 'none'\]"),
        (["none", "a_to_b", "none"], r"align: expected each once, found \['none', 'a_to_b', 'none'\]"),
    ],
)
def test_alignments_that_are_not_there(
    pair: tuple[np.ndarray, np.ndarray], aligns: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare_aligned(*pair, aligns=aligns, **OPTIONS)
