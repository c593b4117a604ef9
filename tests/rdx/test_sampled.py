"""Comparisons whose affinities are sampled: as good as exact ones, recorded, refused where they cannot be."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from diptych import ops, rdx
from diptych._progress import Stages
from diptych.rdx.affinities import dense_affinities

N, SAMPLE = 1200, {"neighbors": 32, "samples": 200}


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Six groups of three parts each; the first sees the parts of groups 0-3, the second those of 2-5."""
    generator = torch.Generator().manual_seed(0)
    groups, parts = (torch.randint(0, k, (N,), generator=generator) for k in (6, 3))

    def seen(first: int, last: int) -> torch.Tensor:
        centers = 4 * torch.randn(6, 16, generator=generator)
        offsets = 2 * torch.randn(6, 3, 16, generator=generator)
        offsets[:first], offsets[last + 1 :] = 0, 0
        return centers[groups] + offsets[groups, parts] + 0.5 * torch.randn(N, 16, generator=generator)

    return seen(0, 3), seen(2, 5)


def compared(pair: tuple[torch.Tensor, torch.Tensor], **options: Any) -> rdx.RDXResult:
    return rdx.compare(*pair, progress=False, **{"n_explanations": 3} | options)


def test_finds_what_all_pairs_tell(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    exact, sampled = compared(pair), compared(pair, **SAMPLE)
    for one, other in ((exact.a, sampled.a), (exact.b, sampled.b)):
        assert adjusted_rand_score(one.labels, other.labels) > 0.9
        assert abs(one.bsr - other.bsr) < 0.02
        np.testing.assert_allclose(other.mean_affinity, one.mean_affinity, rtol=0.05)
    assert sampled.mutual_knn == exact.mutual_knn


@pytest.mark.parametrize(
    ("distance", "difference", "conventions"),
    [
        ("neighborhood", "locally_biased", "paper"),
        ("neighborhood", "locally_biased", "published-code"),
        ("neighborhood", "subtraction", "default"),
        ("max", "locally_biased", "default"),
        ("max", "subtraction", "default"),
        ("local", "locally_biased", "published-code"),
        ("local", "subtraction", "default"),
    ],
)
def test_every_variant(
    pair: tuple[torch.Tensor, torch.Tensor], distance: str, difference: str, conventions: str
) -> None:
    options = {"distance": distance, "difference": difference, "conventions": conventions}
    exact, sampled = compared(pair, **options), compared(pair, **options, **SAMPLE)
    sides = dense_affinities(
        pair, pair, exact.parameters, Stages({"distances": 1, "affinity": 1}, enabled=False)
    ).sides
    for side, one, other in zip(sides, (exact.a, exact.b), (sampled.a, sampled.b), strict=True):
        # What the clusters are to minimise, with a fifth of the pairs; 1.005 is wanted of the defaults.
        cuts = [ops.normalized_cut(side, torch.from_numpy(found.labels + 1)) for found in (one, other)]
        assert cuts[1] < 1.02 * cuts[0]
        assert [len(grid) for grid in other.grids] == [9, 9, 9]
        assert (other.labels[np.concatenate(other.grids)] == np.repeat(np.arange(3), 9)).all()


def test_pagerank(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    exact, sampled = compared(pair, sampling="pagerank"), compared(pair, sampling="pagerank", **SAMPLE)
    for one, other in ((exact.a, sampled.a), (exact.b, sampled.b)):
        assert [len(grid) for grid in other.grids] == [9, 9, 9]
        assert other.bsr > one.bsr - 0.05


def test_the_same_for_any_number_of_threads(
    pair: tuple[torch.Tensor, torch.Tensor], keep_threads: None
) -> None:
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(compared(pair, **SAMPLE))
    for one, other in zip((results[0].a, results[0].b), (results[1].a, results[1].b), strict=True):
        assert (one.labels == other.labels).all()
        assert all((x == y).all() for x, y in zip(one.grids, other.grids, strict=True))


def test_identical_representations_have_no_differences(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    result = compared((pair[0], pair[0].clone()), **SAMPLE)
    assert result.a.grids == result.b.grids == []
    assert "no difference" in result.a.notes[0]


def test_what_was_sampled_is_recorded(pair: tuple[torch.Tensor, torch.Tensor], tmp_path: Path) -> None:
    result = compared(pair, neighbors=np.int64(20), samples=np.int32(50))
    assert (result.parameters.precision, result.parameters.neighbors) == ("sampled", 20)
    result.save(tmp_path / "result.npz")
    loaded = rdx.RDXResult.load(tmp_path / "result.npz").parameters
    assert loaded == result.parameters
    assert loaded.samples == 50
    exact = compared(pair).parameters
    assert (exact.neighbors, exact.samples) == (None, None)


def test_one_of_the_two_gets_its_default(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert compared(pair, samples=100).parameters.neighbors == 128
    assert compared(pair, neighbors=16).parameters.samples == 1024


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"neighbors": 0}, ValueError, "neighbors: expected 1 to"),
        ({"neighbors": 1.5}, TypeError, "neighbors: expected an integer"),
        ({"samples": 0}, ValueError, "samples: expected 1 to"),
        ({"samples": "many"}, TypeError, "samples: expected an integer"),
        ({"neighbors": N}, ValueError, "neighbors: expected fewer than the 1200 items, found 1200"),
        ({"samples": 1000}, ValueError, r"2 \* 128 \+ 1000 pairs of each item are no fewer than the 1199"),
        ({"precision": "sampled"}, ValueError, r"2 \* 128 \+ 1024 pairs"),
        (
            {"neighbors": 8, "precision": "int8"},
            ValueError,
            "precision: 'int8' holds all pairs, but neighbors",
        ),
    ],
)
def test_bad_samples_are_named(
    pair: tuple[torch.Tensor, torch.Tensor], options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        compared(pair, **options)


def test_too_few_pairs_are_named(
    pair: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one sample an item, spectra may have no end; a smaller limit on restarts spares the wait."""
    module = sys.modules["diptych.ops.spectral_embedding"]  # the package's attribute is the function
    monkeypatch.setattr(module, "_MAX_RESTARTS", 1)
    monkeypatch.setattr(module, "_MAX_BASIS", 16)
    with pytest.raises(RuntimeError, match=r"no convergence.*neighbors=1 and samples=1 are too few"):
        compared(pair, neighbors=1, samples=1)
