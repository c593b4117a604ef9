"""How near sampled affinities come to exact ones: clusters, their normalised cut, grids and memory.

Both are made of the same rows, which stream by once: the exact affinities (float32 up to n = 10,000, packed
in a byte beyond) and one sample for each seed. A row of the table is one direction of one sample:

- ari: adjusted Rand index of all m + 1 clusters, the discarded one included, to the exact ones of the same
  seed of k-means. What it can be depends on the data: beside it stand `ari_seeds`, that of these exact
  clusters to the exact ones of seed 0, and `ari_90`, that of exact clusters of a random 90 % of the items
  (ranks within these; up to n = 10,000) to the exact ones of all;
- cut_ratio: the normalised cut of the sampled labels over that of the exact ones, both on the exact
  affinities; wanted: at most 1.005. It is what the clusters minimise, so this is what the estimate loses;
- bsr and exact_bsr of the grids, which are looked for in the sample and settled exactly. BSR alone may rise
  with wrong labels;
- same_grids: share of the exact grids that are found again, item by item;
- bytes_per_item of the sample, both directions.

Nothing is timed. Counted for a pass of 16 vectors: n (2 K + S) pairs of 8 bytes, read twice, and two rows of
64 bytes each.

Run one size at a time: pytest benchmarks/bench_sampled.py -k "20000 and networks"
"""

import csv
import functools
import os
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from conftest import RESULTS, command, machine, versions
from diptych import ops
from diptych.ops import _products
from diptych.ops.sampled_affinity import NEIGHBORS, SAMPLES
from diptych.rdx.affinities import difference_affinity
from diptych.rdx.results import Parameters
from diptych.rdx.sampling import Sample, spectral_sample
from diptych.rdx.score import pooled, success_rates
from diptych.rdx.streamed import NearRows
from structured_pairs import PAIRS

PATH = RESULTS / "sampled.csv"
KEYS = ("data", "n", "neighbors", "samples", "seed", "direction")
COLUMNS = (
    *KEYS,
    "ari",
    "ari_seeds",
    "ari_90",
    "cut_ratio",
    "bsr",
    "exact_bsr",
    "same_grids",
    "bytes_per_item",
    "machine",
    "versions",
    "command",
)

SEEDS = {5_000: 5, 10_000: 5, 20_000: 3, 50_000: 3}
# Held as float32 up to here.
DENSE = 10_000
# What the defaults were chosen from.
CHOICES = ((32, 256), (32, 1024), (64, 512), (128, 512), (128, 2048))

P = Parameters()


class Exact:
    """The exact affinities of a pair, block by block, and what is found in them."""

    def __init__(self, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.pair, self.n = pair, len(pair[0])
        self.near = NearRows(pair, P)
        dense = self.n <= DENSE
        self._ranks = [torch.empty(self.n, self.n, dtype=torch.int32) for _ in range(2)] if dense else []
        self._packed = None if dense else ops.PackedAffinity(self.n)
        self.sides: Any = None

    def stream(self, samples: list[ops.SampledAffinity]) -> None:
        for start, stop in _products.row_blocks(self.n, self.n, 4, 1 << 26):
            rows = self.near(slice(start, stop))
            for sample in samples:
                sample.write(start, *rows, check=False)
            if self._packed is None:
                for ranks, block in zip(self._ranks, rows, strict=True):
                    ranks[start:stop] = block
            else:
                self._packed.write(start, *rows, check=False)
        if self._packed is None:
            self.sides = difference_affinity(*self._ranks, P.gamma, P)
        else:
            self.sides = self._packed.fold().directions

    def among(self, side: int, items: torch.Tensor) -> torch.Tensor:
        return difference_affinity(*self.near.among(items), P.gamma, P)[side]

    def sample(self, affinity: Any, side: int, seed: int) -> Sample:
        exact = None if isinstance(affinity, torch.Tensor) else functools.partial(self.among, side)
        return spectral_sample(
            affinity, P.n_explanations, P.grid_size, P.conventions, self.pair[side], seed, exact
        )

    def bsr(self, sample: Sample, side: int) -> float:
        pair = self.pair if side == 0 else (self.pair[1], self.pair[0])
        return pooled(*success_rates(sample.grids, *pair, "neighborhood"))


def agreement_of_part(exact: Exact, side: int, labels: torch.Tensor) -> float:
    """ARI of the exact clusters of 90 % of the items to those of all."""
    if exact.n > DENSE:
        return float("nan")
    part = torch.randperm(exact.n, generator=torch.Generator().manual_seed(0))[: 9 * exact.n // 10]
    ranks = [ops.neighbor_ranks(x[part]) for x in exact.pair]
    affinity = difference_affinity(*ranks, P.gamma, P)[side]
    found = ops.spectral_clusters(affinity, P.n_explanations + 1, check=False)
    return float(adjusted_rand_score(labels[part], found))


def same_grids(one: Sample, other: Sample) -> float:
    """Share of the exact grids that are found again, item by item."""
    found = {frozenset(grid.tolist()) for grid in other.grids}
    return float(np.mean([frozenset(grid.tolist()) in found for grid in one.grids]))


def cut(affinity: Any, sample: Sample) -> float:
    return ops.normalized_cut(affinity, sample.labels + 1)


def rows_of(name: str, n: int, plans: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """The table's rows for samples (K, S, seed) of one pair."""
    exact = Exact(PAIRS[name](n))
    samples = [ops.SampledAffinity(n, k, s, seed=seed) for k, s, seed in plans]
    exact.stream(samples)
    rows = []
    for side in range(2):
        affinity = exact.sides[side]
        all_wanted = {seed: exact.sample(affinity, side, seed) for seed in {0} | {plan[2] for plan in plans}}
        part = agreement_of_part(exact, side, all_wanted[0].labels)
        for (k, s, seed), sample in zip(plans, samples, strict=True):
            found = exact.sample(sample.directions[side], side, seed)
            wanted = all_wanted[seed]
            held = sum(array.numel() * array.element_size() for array in sample.pairs)
            rows.append(
                {
                    "data": name,
                    "n": n,
                    "neighbors": k,
                    "samples": s,
                    "seed": seed,
                    "direction": "ab" if side == 0 else "ba",
                    "ari": adjusted_rand_score(wanted.labels, found.labels),
                    "ari_seeds": adjusted_rand_score(all_wanted[0].labels, wanted.labels),
                    "ari_90": part,
                    "cut_ratio": cut(affinity, found) / cut(affinity, wanted),
                    "bsr": exact.bsr(found, side),
                    "exact_bsr": exact.bsr(wanted, side),
                    "same_grids": same_grids(wanted, found),
                    "bytes_per_item": held / n,
                }
            )
    return rows


def record(rows: list[dict[str, Any]]) -> None:
    """Put rows into the table, each in place of the one that it repeats."""
    told = {"machine": machine(), "versions": versions(), "command": command()}
    short = {key: lambda value: f"{value:.4f}" for key in COLUMNS[len(KEYS) : -3]}
    fresh = [{k: short.get(k, str)(v) for k, v in (row | told).items()} for row in rows]
    table = {}
    if PATH.exists():
        with open(PATH, newline="") as file:
            table = {tuple(row[key] for key in KEYS): row for row in csv.DictReader(file)}
    table |= {tuple(row[key] for key in KEYS): row for row in fresh}
    temporary = PATH.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        order = sorted(table, key=lambda key: (key[0], *map(int, key[1:5]), key[5]))
        writer.writerows(table[key] for key in order)
    os.replace(temporary, PATH)


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("name", PAIRS)
def test_defaults(name: str, n: int) -> None:
    rows = rows_of(name, n, [(NEIGHBORS, SAMPLES, seed) for seed in range(SEEDS[n])])
    record(rows)
    for row in rows:
        print({key: row[key] for key in COLUMNS[:-3]})
    assert all(row["cut_ratio"] <= 1.005 for row in rows)
    assert all(row["bytes_per_item"] <= 1.5 * 2**30 / 50_000 for row in rows)


@pytest.mark.parametrize("name", PAIRS)
def test_choices(name: str) -> None:
    rows = rows_of(name, 10_000, [(k, s, seed) for k, s in CHOICES for seed in range(2)])
    record(rows)
    for row in rows:
        print({key: row[key] for key in COLUMNS[:-3]})
    assert all(np.isfinite(row["cut_ratio"]) for row in rows)
