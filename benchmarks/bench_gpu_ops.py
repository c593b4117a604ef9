"""The ops on a GPU, beside what one would write in torch: the device's time, all arrays on the device.

Bytes that must move, for (n, n) matrices of 32-bit numbers (n = 20,000: 1.6 GB each):

- difference_affinity: two read and two written, 16 n²; locally_biased_difference: 12 n²;
- neighbor_ranks from distances: one read and one written, 8 n²; knn_affinity: one read, 4 n².

Operations: pairwise_distances 2 n² d in float32; linear_cka in feature space n (d_x² + d_y² + 2 d_x d_y).

Run: benchmarks/gpu.sh OUTDIR, or pytest benchmarks/bench_gpu_ops.py
"""

import pytest
import torch

from diptych import ops
from gpu_timing import GpuRecorder, measured_limits, require_gpu

require_gpu()

SIZES = (5000, 20_000)
D = 768
GAMMA, BETA = 0.1, 5.0


@pytest.fixture(scope="module")
def gpu(recorder):
    return GpuRecorder(recorder, measured_limits())


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator("cuda").manual_seed(seed), device="cuda")


def rank_matrix(n: int, seed: int) -> torch.Tensor:
    return ops.neighbor_ranks(gaussian(n, 16, seed=seed), check=False)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found - expected) / expected).abs().max())


@pytest.mark.parametrize("backend", ["cuda", "triton"])
@pytest.mark.parametrize("n", SIZES)
def test_difference_affinity(gpu, n, backend):
    from diptych.ops.difference_affinity import reference

    a, b = rank_matrix(n, 1), rank_matrix(n, 2)
    out = torch.full((n, n), torch.nan, device="cuda"), torch.full((n, n), torch.nan, device="cuda")

    def ours():
        ops.difference_affinity(a, b, GAMMA, BETA, out=out, backend=backend, check=False)

    ours()
    few = slice(0, 1024)
    expected = reference(a[few, few], b[few, few], GAMMA, BETA)
    error = max(relative(found[few, few].double(), want) for found, want in zip(out, expected, strict=True))
    assert error <= 2 * (8 * BETA + 3) * torch.finfo(torch.float32).eps

    def torch_eager():
        left, right = a.float(), b.float()
        g = torch.tanh(GAMMA * (left - right) / torch.minimum(left, right).clamp(min=1))
        for sign in (-BETA, BETA):
            f = torch.exp(sign * g)
            (f + f.T).mul_(0.5)

    found = gpu.measure(
        "difference_affinity", f"n={n}", ours, {"torch": torch_eager}, error=error, bytes_moved=16 * n * n
    )
    if n == max(SIZES) and backend == "cuda":
        assert found["share"] >= 0.8


@pytest.mark.parametrize("backend", ["cuda", "triton"])
@pytest.mark.parametrize("n", SIZES)
def test_locally_biased_difference(gpu, n, backend):
    from diptych.ops.locally_biased_difference import reference

    a, b = rank_matrix(n, 1), rank_matrix(n, 2)
    out = torch.full((n, n), torch.nan, device="cuda")

    def ours():
        ops.locally_biased_difference(a, b, GAMMA, out=out, backend=backend, check=False)

    ours()
    expected = reference(a[:512], b[:512], GAMMA)
    error = float((out[:512] - expected).abs().max())
    assert error <= 16 * torch.finfo(torch.float32).eps

    def torch_eager():
        left, right = a.float(), b.float()
        torch.tanh(GAMMA * (left - right) / torch.minimum(left, right).clamp(min=1))

    gpu.measure(
        "locally_biased_difference",
        f"n={n}",
        ours,
        {"torch": torch_eager},
        error=error,
        bytes_moved=12 * n * n,
    )


@pytest.mark.parametrize("n", SIZES)
def test_neighbor_ranks_from_distances(gpu, n):
    from diptych.ops.neighbor_ranks import reference

    x = gaussian(n, D)
    distances = torch.cdist(x, x)
    out = torch.full((n, n), -1, dtype=torch.int32, device="cuda")

    def ours():
        ops.neighbor_ranks(distances=distances, out=out, check=False)

    ours()
    assert torch.equal(out[:512], reference(distances=distances[:512]))
    found = gpu.measure(
        "neighbor_ranks, distances given",
        f"n={n}",
        ours,
        {"torch double argsort": lambda: distances.argsort(dim=1).argsort(dim=1)},
        error=0,
        bytes_moved=8 * n * n,
        rounds=10,
    )
    assert found["ratio"] >= 5


def test_neighbor_ranks(gpu):
    n = 5000
    x = gaussian(n, D)
    out = torch.full((n, n), -1, dtype=torch.int32, device="cuda")

    def ours():
        ops.neighbor_ranks(x, out=out, check=False)

    ours()
    wide = x.double()
    exact = torch.cdist(wide, wide).argsort(dim=1).argsort(dim=1)
    wrong = float((out != exact).double().mean())
    assert wrong < 5e-3  # near-ties, ordered apart in float32 and float64
    found = gpu.measure(
        "neighbor_ranks",
        f"n={n} d={D}",
        ours,
        {"torch cdist and double argsort": lambda: torch.cdist(x, x).argsort(dim=1).argsort(dim=1)},
        error=wrong,
        operations=2 * n * n * D,
    )
    assert found["ratio"] >= 5


@pytest.mark.parametrize("n", SIZES)
def test_pairwise_distances(gpu, n):
    x = gaussian(n, D)
    out = torch.full((n, n), torch.nan, device="cuda")

    def ours():
        ops.pairwise_distances(x, out=out, check=False)

    ours()
    wide = x.double()
    expected = torch.cdist(wide[:256], wide)
    expected[torch.arange(256), torch.arange(256)] = 1
    assert (out.diagonal() == 0).all()
    out.fill_diagonal_(1)
    error = relative(out[:256].double(), expected)
    assert error <= 1e-5
    gpu.measure(
        "pairwise_distances",
        f"n={n} d={D}",
        ours,
        {"torch.cdist": lambda: torch.cdist(x, x)},
        error=error,
        operations=2 * n * n * D,
        rounds=10,
    )


@pytest.mark.parametrize("n", SIZES)
def test_knn_affinity(gpu, n):
    from diptych.ops.knn_affinity import reference

    k = 8
    affinity = gaussian(n, n).exp_()
    labels = torch.randint(0, 6, (n,), generator=torch.Generator("cuda").manual_seed(0), device="cuda")
    found = ops.knn_affinity(affinity, labels, k, check=False)
    scores, neighbors = reference(affinity[:512], labels, k)
    assert torch.equal(found.neighbors[:512], neighbors)
    error = relative(found.scores[:512], scores)
    assert error <= k * torch.finfo(torch.float32).eps

    def torch_topk():
        mates = labels[:, None] == labels
        affinity.masked_fill(~mates, -torch.inf).topk(k, dim=1)

    gpu.measure(
        "knn_affinity",
        f"n={n} k={k}, 6 clusters",
        lambda: ops.knn_affinity(affinity, labels, k, check=False),
        {"torch masked topk": torch_topk},
        error=error,
        bytes_moved=4 * n * n,
    )


@pytest.mark.parametrize("n", [5000, 50_000])
def test_linear_cka(gpu, n):
    from diptych.ops.linear_cka import reference

    x, y = gaussian(n, 768), gaussian(n, 1024, seed=1)
    y[:, :768] += x
    few = x[:2000].double(), y[:2000].double()
    error = abs(float(ops.linear_cka(x[:2000], y[:2000], check=False)) - float(reference(*few)))
    assert error <= 1e-5

    def feature_space():
        a, b = x - x.mean(0), y - y.mean(0)
        return (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())

    gpu.measure(
        "linear_cka",
        f"n={n} d=768, 1024",
        lambda: ops.linear_cka(x, y, check=False),
        {"torch, three products": feature_space},
        error=error,
        operations=2 * n * (768 * 1024 + 768**2 + 1024**2),
    )
