"""diptych.ops.linear_cka against Gram matrices, finite differences and its invariances."""

import shutil

import numpy as np
import pytest
import torch
from helpers import gaussian, integers

from diptych import ops
from diptych.ops.linear_cka import reference

# (n, d_x, d_y): feature space, item space (d_x d_y > n (d_x + d_y)), and one wide with one narrow.
SHAPES = [
    (5, 1, 1),
    (8, 3, 2),
    (33, 16, 9),
    (65, 7, 64),
    (9, 40, 50),
    (31, 400, 300),
    (12, 1000, 3),
    (200, 33, 33),
]


def by_gram_matrices(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> float:
    """CKA from n x n Gram matrices, entry by entry as printed in the papers."""
    a, b = x.detach().cpu().double().numpy(), y.detach().cpu().double().numpy()
    n = len(a)

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        if not debiased:
            centre = np.eye(n) - np.ones((n, n)) / n
            return np.trace(k @ centre @ m @ centre) / (n - 1) ** 2
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        ones = np.ones(n)
        terms = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (terms - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))

    # Centred first, which changes neither estimator but keeps digits.
    a, b = a - a.mean(0), b - b.mean(0)
    gram_a, gram_b = a @ a.T, b @ b.T
    return hsic(gram_a, gram_b) / np.sqrt(hsic(gram_a, gram_a) * hsic(gram_b, gram_b))


def related(
    n: int, d_x: int, d_y: int, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two representations with a common part, of unequal variances and away from the origin."""
    shared = gaussian(n, 1, 1, torch.float64)
    x = gaussian(n, d_x, 2, torch.float64) * torch.linspace(1, 3, d_x) + 2 * shared + 5
    return x.to(dtype), (gaussian(n, d_y, 3, torch.float64) + shared).to(dtype)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_is_the_definition(device: torch.device, shape: tuple[int, int, int], debiased: bool) -> None:
    x, y = related(*shape)
    found = ops.linear_cka(x.to(device), y.to(device), debiased=debiased)
    assert found.shape == ()
    assert found.device.type == device.type
    # The unbiased estimator cancels; the shapes here leave at least 1e-3 of its terms.
    assert float(found) == pytest.approx(by_gram_matrices(x, y, debiased), rel=1e-10, abs=1e-12)
    assert float(found) == pytest.approx(float(reference(x, y, debiased)), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_short_floats_are_computed_in_float32(dtype: torch.dtype, debiased: bool) -> None:
    x, y = related(100, 12, 7, dtype)
    found = ops.linear_cka(x, y, debiased=debiased)
    assert found.dtype == torch.float32
    # Sums of n d products, worst case (n + d) eps of their absolute values, which are of the result's size.
    assert float(found) == pytest.approx(by_gram_matrices(x, y, debiased), abs=(100 + 12) * 1.2e-7)


def test_mixed_precision_is_computed_in_double() -> None:
    x, y = related(40, 6, 5)
    x = x.float()
    found = ops.linear_cka(x, y)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(by_gram_matrices(x, y, False), rel=1e-12)


def test_numpy_integers_and_lists() -> None:
    x, y = integers(20, 4, 9, 1), integers(20, 3, 9, 2)
    expected = by_gram_matrices(x, y, False)
    for kind in (np.float64, np.int64, np.float32):
        found = ops.linear_cka(x.numpy().astype(kind), y.numpy().astype(kind))
        assert isinstance(found, np.ndarray)
        assert float(found) == pytest.approx(expected, rel=1e-5 if kind is np.float32 else 1e-12)
    assert float(ops.linear_cka(x.tolist(), y.tolist())) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("shape", [(33, 8, 8), (9, 40, 40)])
def test_invariances(shape: tuple[int, int, int], debiased: bool) -> None:
    x, y = related(*shape)
    plain = ops.linear_cka(x, y, debiased=debiased)
    rotation = torch.linalg.qr(gaussian(shape[1], shape[1], 4, torch.float64)).Q
    order = torch.randperm(shape[0], generator=torch.Generator().manual_seed(0))
    # 1e4 costs four digits of sixteen, the unbiased estimator up to three more.
    for a, b in ((y, x), (x @ rotation, y), (x * 1e-3, y * 5), (x + 1e4, y), (x[order], y[order])):
        assert float(ops.linear_cka(a, b, debiased=debiased)) == pytest.approx(float(plain), abs=1e-8)
    assert float(ops.linear_cka(x, 2 * x @ rotation + 1, debiased=debiased)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e6, 1e18, 1e30])
def test_any_scale_in_float32(scale: float, debiased: bool) -> None:
    x, y = related(60, 8, 5)
    expected = by_gram_matrices(x, y, debiased)
    a = (x * scale).float().requires_grad_()
    found = ops.linear_cka(a, (y / scale).float(), debiased=debiased)
    assert found.item() == pytest.approx(expected, abs=(60 + 8) * 1.2e-7)
    if scale < 1e20:  # beyond, the gradient itself is below float32
        (gradient,) = torch.autograd.grad(found, a)
        exact = x.clone().requires_grad_()
        (want,) = torch.autograd.grad(ops.linear_cka(exact, y, debiased=debiased), exact)
        bound = 100 * (60 + 8) * 1.2e-7 * float(want.abs().max())  # two slopes that cancel tenfold, each way
        torch.testing.assert_close(gradient.double() * scale, want, rtol=0, atol=bound)


def test_raw_pixels_do_not_overflow() -> None:
    x = integers(3000, 784, 256, 5)
    x[:1500] /= 4
    assert float(ops.linear_cka(x, x)) == pytest.approx(1, abs=1e-5)


def test_unrelated_representations() -> None:
    x, y = gaussian(50, 200, 6, torch.float64), gaussian(50, 200, 7, torch.float64)
    # Biased CKA is near 1 for d >> n; the debiased one is near 0, with a standard deviation of some 1/n.
    assert float(ops.linear_cka(x, y)) > 0.7
    assert abs(float(ops.linear_cka(x, y, debiased=True))) < 5 / 50


def test_the_smallest_numbers_of_items() -> None:
    x, y = related(4, 3, 2)
    assert float(ops.linear_cka(x[:2], y[:2])) == pytest.approx(1, abs=1e-12)
    found = float(ops.linear_cka(x, y, debiased=True))
    assert found == pytest.approx(by_gram_matrices(x, y, True), rel=1e-10)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("shape", [(7, 3, 2), (6, 14, 13), (4, 9, 2)])
@pytest.mark.usefixtures("keep_threads")
def test_gradients_are_those_of_finite_differences(shape: tuple[int, int, int], debiased: bool) -> None:
    torch.set_num_threads(1)  # thousands of tiny products
    x, y = (z.requires_grad_() for z in related(*shape))
    torch.autograd.gradcheck(lambda a, b: ops.linear_cka(a, b, debiased=debiased), (x, y))


def test_gradients_of_one_argument_are_those_of_both() -> None:
    x, y = (z.requires_grad_() for z in related(20, 4, 3))
    both = torch.autograd.grad(ops.linear_cka(x, y), (x, y))
    assert torch.equal(torch.autograd.grad(ops.linear_cka(x, y.detach()), x)[0], both[0])
    assert torch.equal(torch.autograd.grad(ops.linear_cka(x.detach(), y), y)[0], both[1])


@pytest.mark.parametrize("debiased", [False, True])
def test_gradients_are_those_of_the_reference(debiased: bool) -> None:
    x, y = (z.requires_grad_() for z in related(30, 6, 5))
    found = torch.autograd.grad(ops.linear_cka(x, y, debiased=debiased), (x, y))
    expected = torch.autograd.grad(reference(x, y, debiased), (x, y))
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-10)


def test_gradient_of_identical_representations_is_zero() -> None:
    x = related(20, 4, 3)[0].requires_grad_()
    (gradient,) = torch.autograd.grad(ops.linear_cka(x, x.detach()), x)
    # At the maximum; what is left is the rounding of slopes of size 1.
    assert float(gradient.abs().max()) < 1e-12


def test_gradient_of_mixed_types_keeps_them() -> None:
    x, y = related(20, 4, 3)
    x, y = x.float().requires_grad_(), y.requires_grad_()
    ops.linear_cka(x, y).backward()
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.dtype, y.grad.dtype) == (torch.float32, torch.float64)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shape", [(9, 3, 2), (6, 14, 13)])
def test_is_a_well_formed_operator(shape: tuple[int, int, int], keep: bool, debiased: bool) -> None:
    x, y = (z.requires_grad_() for z in related(*shape))
    results = torch.library.opcheck(torch.ops.diptych.linear_cka.default, (x, y, debiased, keep))
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, found no g++")
@pytest.mark.parametrize("check", [None, False])
@pytest.mark.usefixtures("fresh_compiler")
def test_compiles_into_one_graph(check: bool | None) -> None:
    x, y = (z.requires_grad_() for z in related(20, 5, 3))

    def loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return 1 - ops.linear_cka(a, 2 * b, check=check)

    compiled = torch.compile(loss, fullgraph=True)(x, y)
    plain = loss(x, y)
    torch.testing.assert_close(compiled, plain, rtol=1e-12, atol=0)
    found, expected = torch.autograd.grad(compiled, (x, y)), torch.autograd.grad(plain, (x, y))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


x53 = gaussian(5, 3)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (torch.ones(5), x53, {}, "x: expected a matrix"),
        (x53, torch.ones(5, 0), {}, "y: expected at least one row and column"),
        (x53, gaussian(4, 3), {}, "x and y: expected the same items, found 5 and 4 rows"),
        (x53[:1], x53[:1], {}, "x: expected at least 2 items, found 1"),
        (x53[:3], x53[:3], {"debiased": True}, "x: expected at least 4 items, found 3"),
        (x53 * torch.nan, x53, {}, "x: expected finite numbers"),
        (x53, x53 / 0, {}, "y: expected finite numbers"),
        (torch.full((5, 3), 0.1), x53, {}, "x: all items are the same, CKA is not defined"),
        (x53, torch.ones(5, 3), {}, "y: all items are the same, CKA is not defined"),
        (torch.eye(5), x53, {"debiased": True}, "x: all items are equally far apart"),
        (x53, 3 * torch.eye(5).double(), {"debiased": True}, "y: all items are equally far apart"),
        (x53, x53.to("meta"), {}, "one device, found x on cpu, y on meta"),
        (x53, x53, {"backend": "cpu"}, "linear_cka has no 'cpu', it has torch"),
    ],
)
def test_refuses_by_name(x: torch.Tensor, y: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.linear_cka(x, y, **options)
