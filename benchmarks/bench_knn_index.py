"""Neighbors by approximate indexes of faiss: recall against time, beside the exact search of the same run.

Counted for n = 100,000 items of 40 classes, d = 128, k = 64, float32, two threads:

- exact: n² d multiply-adds, 2.6 TFLOP; each product serves both of its items, so 1.3 TFLOP are done;
- training L lists: at most 256 L items times L centres, 10 times: 43 GFLOP at L = 256, and 262 GFLOP at
  L = 1024, whose sample is all n items;
- filling: n items times L centres, 26 GFLOP at L = 1024;
- searching: as many for the lists nearest to each query, then n² p / L distances of 3 d operations for p of L
  lists: at L = 1024 and p = 32 a thirty-second of all pairs, 120 GFLOP. Every query reads its lists by itself
  (512 bytes an item, 160 GB in all, mostly from the caches: a list is 50 KB). No product of matrices serves
  many queries at once, so a sixteenth of all pairs takes about as long as the exact search of all.

A row's time is that of a whole call, which builds the index anew. A row "build" is a call with one query:
what a row takes beyond it is the search. Recall (column rate) is the share of all exact neighbors
that were found; error is the share that was missed. The share of the limit is that of the distances taken
after the build, at two operations a coordinate, in the GEMM rate of the same run.

Every setting runs once, on data whose neighbors are well apart in 16 to 32 dimensions: recall at the same
share of lists is lower where items fill all dimensions evenly.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_knn_index.py
"""

import torch

from conftest import spread, timed
from diptych import ops
from planted import planted_pair

N, D, K = 100_000, 128, 64

# Lists of each index (a graph has none), and its probes: lists looked at, or candidates that a graph keeps.
SETTINGS = {
    "IVF256,Flat": (256, (8, 16, 32)),
    "IVF1024,Flat": (1024, (8, 16, 32, 64)),
    "HNSW32": (None, (64, 128)),
}


def by_index(x, index, probes, searched=None):
    return ops.knn(x, K, searched, backend="faiss", index=index, probes=probes)


def wrong_share(x, found):
    """Share of neighbors, on every 1000th row, that are not those of float64."""
    rows, y = torch.arange(0, len(x), 1000), x.double()
    squares = torch.stack([((y[row] - y) ** 2).sum(1) for row in rows])
    squares[torch.arange(len(rows)), rows] = torch.inf
    return float((squares.argsort(dim=1, stable=True)[:, :K] != found[rows]).double().mean())


def recall(found, exact):
    """Share of the exact neighbors that were found: both rows together hold these twice."""
    found = torch.where(found < 0, -1 - torch.arange(K), found)  # places without an item must differ, too
    both = torch.cat([found, exact], 1).sort(1).values
    return float((both.diff(dim=1) == 0).sum() / exact.numel())


def test_recall_against_time(recorder, limits):
    x = planted_pair(N, D)[0]
    ops.knn(x[:3000], K)  # loads every library
    by_index(x[:4000], "IVF64,Flat", 1)
    exact = torch.zeros(N, K), torch.zeros(N, K, dtype=torch.int64)
    exact_seconds = timed(lambda: ops.knn(x, K, out=exact))
    assert wrong_share(x, exact[1]) == 0

    def add(what, seconds, share=None, of_limit=None, backend="faiss"):
        recorder.add(
            op=f"knn_index, {what}",
            shape=f"n={N} d={D} k={K}",
            dtype="float32",
            backend=backend,
            **spread([seconds]),
            **({} if share is None else {"rate": share, "unit": f"recall@{K}", "error": 1 - share}),
            **({} if of_limit is None else {"share_of_limit": of_limit / limits["gemm"]}),
            baseline="ops.knn, exact",
            baseline_p20_s=exact_seconds,
            ratio=exact_seconds / seconds,
        )

    add("exact", exact_seconds, 1.0, 2 * N * N * D / exact_seconds, backend="cpu")
    reached = {}
    for index, (lists, all_probes) in SETTINGS.items():
        build = timed(lambda index=index: by_index(x[:1], index, None, x))
        add(f"{index} build", build)
        for probes in all_probes:
            found = []
            seconds = timed(lambda i=index, p=probes, into=found: into.append(by_index(x, i, p).indices))
            share = recall(found[0], exact[1])
            rate = 2 * N * N * probes / lists * D / (seconds - build) if lists else None
            add(f"{index} probes={probes}", seconds, share, rate)
            reached[index, probes] = share, seconds
    for index, (_, all_probes) in SETTINGS.items():
        shares = [reached[index, probes][0] for probes in all_probes]
        assert shares == sorted(shares), index
    assert reached["IVF1024,Flat", 64][0] >= 0.98
    share, seconds = reached["IVF1024,Flat", 32]  # as many probes as by default
    assert share >= 0.93
    assert seconds < exact_seconds


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
