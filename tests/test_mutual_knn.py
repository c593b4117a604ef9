"""diptych.ops.mutual_knn against its definition."""

import numpy as np
import pytest
import torch
from helpers import gaussian, integers, sorted_ranks, with_duplicates

from diptych import ops
from diptych.ops.mutual_knn import reference


def by_definition(x: np.ndarray, y: np.ndarray, k: int) -> float:
    shares = []
    for ranks_x, ranks_y in zip(sorted_ranks(x), sorted_ranks(y), strict=True):
        near_x, near_y = (set(np.flatnonzero((r >= 1) & (r <= k))) for r in (ranks_x, ranks_y))
        shares.append(len(near_x & near_y) / k)
    return float(np.mean(shares))


@pytest.mark.parametrize(("n", "k"), [(2, 1), (3, 2), (9, 3), (33, 10), (385, 10), (385, 384), (800, 50)])
def test_is_the_definition(device: torch.device, n: int, k: int) -> None:
    x = gaussian(n, 6, n, torch.float64)
    y = x[:, :4] + 0.5 * gaussian(n, 4, n + 1, torch.float64)
    found = ops.mutual_knn(x.to(device), y.to(device), k)
    # Counting in float64: only the last division rounds.
    assert found == pytest.approx(by_definition(x.numpy(), y.numpy(), k), rel=1e-14)


@pytest.mark.parametrize("k", [1, 2, 7, 40])
def test_ties_go_by_index(k: int) -> None:
    x, y = integers(65, 3, 3, 1), integers(65, 2, 4, 2)
    expected = by_definition(x.double().numpy(), y.double().numpy(), k)
    assert ops.mutual_knn(x, y, k) == pytest.approx(expected, rel=1e-14)
    assert reference(x.double(), y.double(), k) == pytest.approx(expected, rel=1e-14)


def test_duplicates_go_by_index() -> None:
    x = with_duplicates(gaussian(127, 17, 3, torch.float64))
    y = with_duplicates(gaussian(127, 33, 4, torch.float64), 1)
    for k in (1, 5):
        expected = by_definition(x.numpy(), y.numpy(), k)
        assert ops.mutual_knn(x, y, k) == pytest.approx(expected, rel=1e-14)


def test_what_keeps_neighborhoods_gives_one() -> None:
    x = gaussian(100, 8, 5, torch.float64)
    rotation = torch.linalg.qr(gaussian(8, 8, 6, torch.float64)).Q
    assert ops.mutual_knn(x, x) == 1
    assert ops.mutual_knn(x, 3 * x @ rotation + 7) == 1
    assert ops.mutual_knn(x, gaussian(100, 5, 7, torch.float64), 99) == 1


def test_is_symmetric_and_blind_to_item_order() -> None:
    x, y = gaussian(100, 8, 8), gaussian(100, 3, 9)
    found = ops.mutual_knn(x, y, 5)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    assert ops.mutual_knn(y, x, 5) == found
    assert ops.mutual_knn(x[order], y[order], 5) == pytest.approx(found, rel=1e-14)


def test_unrelated_representations_share_what_chance_gives() -> None:
    found = ops.mutual_knn(gaussian(800, 8, 10), gaussian(800, 8, 11), 10)
    # The mean of 8000 shares of about 10/799, each nearly binomial: a standard deviation of 0.0012.
    assert abs(found - 10 / 799) < 5 * 0.0012


def test_numpy_gives_a_float() -> None:
    x = gaussian(20, 3).numpy()
    assert isinstance(ops.mutual_knn(x, x, 3), float)


x53 = torch.ones(5, 3)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (torch.ones(5), x53, {"k": 1}, "x: expected a matrix"),
        (x53, torch.ones(5, 0), {"k": 1}, "y: expected at least one row and column"),
        (x53, torch.ones(4, 3), {"k": 1}, "x and y: expected the same items, found 5 and 4 rows"),
        (x53, x53, {"k": 0}, "k: expected 1 to 4, found 0"),
        (x53, x53, {}, "k: expected 1 to 4, found 10"),
        (x53 / 0, x53, {"k": 1}, "x: expected finite numbers"),
        (x53, x53 * torch.nan, {"k": 1}, "y: expected finite numbers"),
        (x53, x53.to("meta"), {"k": 1}, "one device, found x on cpu, y on meta"),
        (x53, x53, {"k": 1, "backend": "triton"}, "mutual_knn has no 'triton', it has cpu, torch"),
    ],
)
def test_refuses_by_name(x: torch.Tensor, y: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.mutual_knn(x, y, **options)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize(("n", "k"), [(2, 1), (33, 10), (127, 126), (700, 10), (700, 300)])
def test_from_ranks(n: int, k: int, backend: str) -> None:
    x, y = integers(n, 3, 9, n), integers(n, 2, 9, n + 1)
    ranks = ops.neighbor_ranks(x), ops.neighbor_ranks(y)
    expected = by_definition(x.double().numpy(), y.double().numpy(), k)
    assert ops.mutual_knn(k=k, ranks=ranks, backend=backend) == pytest.approx(expected, rel=1e-14)
    assert ops.last_backend() == backend
    arrays = [rank.numpy() for rank in ranks]
    assert ops.mutual_knn(k=k, ranks=arrays, backend=backend) == pytest.approx(expected, rel=1e-14)
    assert ops.mutual_knn(x, y, k, backend=backend) == pytest.approx(expected, rel=1e-14)


@pytest.mark.usefixtures("keep_threads")
def test_two_threads_agree() -> None:
    x, y = gaussian(300, 6, 12), gaussian(300, 6, 13)
    ranks = ops.neighbor_ranks(x), ops.neighbor_ranks(y)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found += [ops.mutual_knn(x, y, 7), ops.mutual_knn(k=7, ranks=ranks)]
    assert len(set(found)) == 1


ranks5 = torch.stack([torch.arange(5).roll(i) for i in range(5)]).int()


@pytest.mark.parametrize(
    ("ranks", "options", "message"),
    [
        ((ranks5, ranks5), {"x": x53}, "expected either x and y or ranks, found both"),
        (None, {"x": x53}, "expected x and y or ranks, found no y"),
        (None, {"y": x53}, "expected x and y or ranks, found no x"),
        ((ranks5, ranks5[:4]), {}, r"ranks\[1\]: expected a square"),
        ((ranks5, ranks5[:4, :4]), {}, r"ranks\[0\] and ranks\[1\]: shapes differ"),
        ((ranks5, ranks5.to("meta")), {}, r"one device, found ranks\[0\] on cpu, ranks\[1\] on meta"),
        ((ranks5, ranks5), {"k": 5}, "k: expected 1 to 4, found 5"),
        ((ranks5, ranks5), {"backend": "cuda"}, "mutual_knn has no 'cuda', it has cpu, torch"),
    ],
)
def test_refuses_ranks_by_name(ranks: tuple | None, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.mutual_knn(**{"k": 1, "ranks": ranks} | options)


def test_refuses_what_are_no_ranks() -> None:
    with pytest.raises(TypeError, match=r"ranks: expected a pair of \(n, n\) arrays, found Tensor"):
        ops.mutual_knn(k=1, ranks=ranks5)
    with pytest.raises(TypeError, match=r"ranks\[1\]: expected int32, found torch\.int64"):
        ops.mutual_knn(k=1, ranks=(ranks5, ranks5.long()))


def test_refuses_a_fraction_of_a_neighbor() -> None:
    with pytest.raises(TypeError, match=r"k: expected an integer, found 2\.5"):
        ops.mutual_knn(x53, x53, 2.5)
