"""diptych.ops.rbf_cka against scikit-learn's kernels, finite differences and its invariances."""

import shutil

import numpy as np
import pytest
import torch
from helpers import gaussian, integers
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel

from diptych import ops
from diptych.ops._pair_distances import median_squared_distance
from diptych.ops.rbf_cka import reference


def lower_median(x: np.ndarray) -> float:
    distances = np.sort(pdist(x))
    return float(distances[(len(distances) - 1) // 2])


def by_sklearn(x: torch.Tensor, y: torch.Tensor, sigma: float, debiased: bool, median: bool = True) -> float:
    """CKA in float64 from scikit-learn's kernels and HSIC as printed in the papers."""
    kernels = []
    for z in (x, y):
        values = z.detach().cpu().double().numpy()
        width = sigma * (lower_median(values) if median else 1)
        kernels.append(rbf_kernel(values, gamma=1 / (2 * width**2)))
    n = len(x)
    centre = np.eye(n) - 1 / n
    ones = np.ones(n)

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        if not debiased:
            return np.trace(k @ centre @ m @ centre)
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        terms = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return terms - 2 / (n - 2) * (ones @ k @ m @ ones)

    k, m = kernels
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def related(
    n: int, d_x: int, d_y: int, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    shared = gaussian(n, 1, 1, torch.float64)
    x = gaussian(n, d_x, 2, torch.float64) * torch.linspace(1, 3, d_x) + 2 * shared + 5
    return x.to(dtype), (gaussian(n, d_y, 3, torch.float64) + shared).to(dtype)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("shape", [(5, 1, 1), (8, 3, 2), (33, 16, 9), (255, 4, 7), (256, 5, 3), (600, 7, 40)])
def test_is_the_definition(device: torch.device, shape: tuple[int, int, int], debiased: bool) -> None:
    x, y = related(*shape)
    for sigma in (0.2, 0.4, 1.5):
        found = ops.rbf_cka(x.to(device), y.to(device), sigma=sigma, debiased=debiased)
        assert found.shape == ()
        assert found.device.type == device.type
        # The expanded form of the distances, about which sums of at most n² numbers below one cancel.
        assert float(found) == pytest.approx(by_sklearn(x, y, sigma, debiased), abs=1e-10)
        assert float(found) == pytest.approx(float(reference(x, y, sigma, True, debiased)), abs=1e-10)


@pytest.mark.parametrize("debiased", [False, True])
def test_absolute_bandwidth(debiased: bool) -> None:
    x, y = related(50, 4, 3)
    found = ops.rbf_cka(x, y, sigma=2.5, bandwidth="absolute", debiased=debiased)
    assert float(found) == pytest.approx(by_sklearn(x, y, 2.5, debiased, median=False), abs=1e-11)
    width = 0.4 * lower_median(x.numpy())
    same = ops.rbf_cka(x, x, sigma=width, bandwidth="absolute", debiased=debiased)
    assert float(same) == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_short_floats_are_computed_in_float32(dtype: torch.dtype, debiased: bool) -> None:
    x, y = related(300, 12, 7, dtype)
    found = ops.rbf_cka(x, y, debiased=debiased)
    assert found.dtype == torch.float32
    # Kernel entries are off by some d eps (distances) and eps (exp), and average out.
    assert float(found) == pytest.approx(by_sklearn(x, y, 0.4, debiased), abs=12 * 1.2e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 3, 4, 7, 33, 257, 1449, 1600])
def test_median_is_exact(device: torch.device, n: int, dtype: torch.dtype) -> None:
    x = integers(n, 3, 40, n, dtype)  # whole numbers: the squares are exact, with many ties
    x = x - x.mean(0).round()
    found = median_squared_distance(x.to(device))
    assert float(found) == np.sort(pdist(x.double().numpy(), "sqeuclidean"))[(n * (n - 1) // 2 - 1) // 2]


def test_median_by_counting_is_that_by_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    for dtype in (torch.float32, torch.float64):
        for seed in range(5):
            x = gaussian(40, 3, seed, dtype)
            by_sorting = median_squared_distance(x)
            monkeypatch.setattr("diptych.ops._pair_distances._MAX_SORTED", 0)
            assert torch.equal(median_squared_distance(x), by_sorting)
            monkeypatch.undo()


def test_median_of_items_half_of_which_are_the_same() -> None:
    x = torch.zeros(9, 2, dtype=torch.float64)
    x[:2] = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert float(median_squared_distance(x)) == 0


@pytest.mark.parametrize("debiased", [False, True])
def test_invariances(debiased: bool) -> None:
    x, y = related(300, 6, 5)
    plain = float(ops.rbf_cka(x, y, debiased=debiased))
    rotation = torch.linalg.qr(gaussian(6, 6, 4, torch.float64)).Q
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    for a, b in ((y, x), (x @ rotation, y), (x * 1e-3, y * 5), (x + 1e4, y), (x[order], y[order])):
        # 1e4 costs four digits of sixteen.
        assert float(ops.rbf_cka(a, b, debiased=debiased)) == pytest.approx(plain, abs=1e-10)
    assert float(ops.rbf_cka(x, 2 * x @ rotation + 1, debiased=debiased)) == pytest.approx(1, abs=1e-10)


def test_wide_kernels_approach_linear_cka() -> None:
    x, y = related(80, 5, 4)
    wide = ops.rbf_cka(x, y, sigma=1e3, debiased=True)
    # 1 - exp(-t) = t - t²/2 + ...: relative differences of the order of d²/s² = 1e-6.
    assert float(wide) == pytest.approx(float(ops.linear_cka(x, y, debiased=True)), abs=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e18])
def test_any_scale_in_float32(scale: float) -> None:
    x, y = related(60, 8, 5)
    found = ops.rbf_cka((x * scale).float(), (y / scale).float())
    assert float(found) == pytest.approx(by_sklearn(x, y, 0.4, False), abs=10 * 1.2e-7)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.usefixtures("one_thread")
def test_gradients_are_those_of_finite_differences(debiased: bool) -> None:
    x, y = (z.requires_grad_() for z in related(7, 3, 2))
    torch.autograd.gradcheck(
        lambda a, b: ops.rbf_cka(a, b, sigma=3.0, bandwidth="absolute", debiased=debiased), (x, y)
    )


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("n", [30, 300])
def test_gradients_are_those_of_the_reference(n: int, debiased: bool) -> None:
    x, y = (z.requires_grad_() for z in related(n, 6, 5))
    found = torch.autograd.grad(ops.rbf_cka(x, y, debiased=debiased), (x, y))
    expected = torch.autograd.grad(reference(x, y, 0.4, True, debiased), (x, y))
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-10)
    only = torch.autograd.grad(ops.rbf_cka(x, y.detach(), debiased=debiased), x)[0]
    assert torch.equal(only, found[0])


@pytest.mark.parametrize("debiased", [False, True])
def test_is_a_well_formed_operator(debiased: bool) -> None:
    x, y = (z.requires_grad_() for z in related(9, 3, 2))
    results = torch.library.opcheck(torch.ops.diptych.rbf_cka.default, (x, y, 0.5, True, debiased))
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, found no g++")
@pytest.mark.usefixtures("fresh_compiler")
def test_compiles_into_one_graph() -> None:
    x, y = (z.requires_grad_() for z in related(20, 5, 3))

    def loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return 1 - ops.rbf_cka(a, 2 * b)

    compiled = torch.compile(loss, fullgraph=True)(x, y)
    plain = loss(x, y)
    torch.testing.assert_close(compiled, plain, rtol=1e-12, atol=0)
    found, expected = torch.autograd.grad(compiled, (x, y)), torch.autograd.grad(plain, (x, y))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_autocast_does_not_reach_inside() -> None:
    x, y = related(40, 6, 5, torch.float32)
    plain = ops.rbf_cka(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ops.rbf_cka(x, y), plain)


def test_numpy_in_numpy_out() -> None:
    x, y = related(40, 6, 5)
    found = ops.rbf_cka(x.numpy(), y.numpy())
    assert isinstance(found, np.ndarray)
    assert found == ops.rbf_cka(x, y).numpy()
    assert ops.last_backend() == "torch"


x53 = gaussian(5, 3)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (torch.ones(5), x53, {}, "x: expected a matrix"),
        (x53, gaussian(4, 3), {}, "x and y: expected the same items, found 5 and 4 rows"),
        (x53[:1], x53[:1], {}, "x: expected at least 2 items, found 1"),
        (x53[:3], x53[:3], {"debiased": True}, "x: expected at least 4 items, found 3"),
        (x53 * torch.nan, x53, {}, "x: expected finite numbers"),
        (x53, x53 / 0, {}, "y: expected finite numbers"),
        (torch.ones(5, 3), x53, {}, "x: the median distance between items is 0"),
        (x53, torch.ones(5, 3), {}, "y: the median distance between items is 0"),
        (torch.eye(5).double(), x53, {"debiased": True}, "x: all items are equally far apart"),
        (x53, torch.ones(5, 3), {"bandwidth": "absolute"}, "y: all items are the same"),
        (x53, x53, {"sigma": 0}, "sigma: expected a number above 0"),
        (x53, x53, {"bandwidth": "mean"}, "bandwidth: expected one of 'median', 'absolute', found 'mean'"),
        (x53, x53.to("meta"), {}, "one device, found x on cpu, y on meta"),
        (x53, x53, {"backend": "cpu"}, "rbf_cka has no 'cpu', it has torch"),
    ],
)
def test_refuses_by_name(x: torch.Tensor, y: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.rbf_cka(x, y, **options)
