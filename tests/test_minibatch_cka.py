"""diptych.ops.MinibatchCKA and minibatch_cka against debiased CKA of all items and HSIC as printed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import gaussian

from diptych import ops


def related(n: int, *widths: int) -> list[torch.Tensor]:
    """Representations with a common part, away from the origin."""
    shared = gaussian(n, 2, 9, torch.float64)
    return [
        gaussian(n, d, seed, torch.float64) + shared @ gaussian(2, d, 20 + seed, torch.float64) + 3
        for seed, d in enumerate(widths)
    ]


def hsic_1(x: torch.Tensor, y: torch.Tensor) -> float:
    """Song et al. 2012, eq. 4."""
    k, m = ((z @ z.T).numpy() for z in (x.double(), y.double()))
    n, ones = len(k), np.ones(len(k))
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    terms = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return (terms - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))


@pytest.mark.parametrize("n", [4, 5, 33, 100])
def test_one_batch_of_all_items_is_debiased_cka(device: torch.device, n: int) -> None:
    xs, ys = related(n, 3, 7, 40), related(n, 5, 50)
    similarity = ops.MinibatchCKA()
    similarity.update([x.to(device) for x in xs], [y.to(device) for y in ys])
    found = similarity.compute()
    assert found.shape == (3, 2)
    assert found.device.type == device.type
    expected = [[float(ops.linear_cka(x, y, debiased=True)) for y in ys] for x in xs]
    # For four items the unbiased estimator keeps some 1e-3 of its terms.
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-9)


def test_batches_are_averaged_as_the_paper_says() -> None:
    x, y = related(90, 6, 4)
    similarity = ops.MinibatchCKA()
    cuts = [(0, 20), (20, 50), (50, 57), (57, 90)]
    for start, stop in cuts:
        similarity.update(x[start:stop], y[start:stop])
    assert similarity.batches == 4
    xy, xx, yy = (
        np.mean([hsic_1(a[start:stop], b[start:stop]) for start, stop in cuts])
        for a, b in ((x, y), (x, x), (y, y))
    )
    assert float(similarity.compute()) == pytest.approx(xy / np.sqrt(xx * yy), rel=1e-10)


def test_converges_to_debiased_cka_of_all_items() -> None:
    x, y = related(400, 6, 5)
    full = float(ops.linear_cka(x, y, debiased=True))
    errors = [abs(ops.minibatch_cka(x, y, batch_size=20, epochs=e, seed=1) - full) for e in (1, 300)]
    # The mean of 6,000 batches of 20; a single batch's CKA has a standard deviation of about 0.15.
    assert errors[1] < 4 * 0.15 / np.sqrt(6000)
    assert errors[1] < errors[0]
    assert ops.minibatch_cka(x, y, batch_size=400) == pytest.approx(full, rel=1e-10)


def test_the_batch_size_makes_no_bias() -> None:
    # Plain CKA of 16 items with 60 features is near 1 for unrelated data; this estimate is near 0.
    x, y = gaussian(4000, 60, 1), gaussian(4000, 60, 2)
    assert float(ops.linear_cka(x[:16], y[:16])) > 0.7
    # 250 batches whose HSICs have a standard deviation of about sqrt(2)/16 of HSIC(x, x).
    assert abs(ops.minibatch_cka(x, y, batch_size=16)) < 4 * np.sqrt(2) / 16 / np.sqrt(250)


def test_one_model_with_itself() -> None:
    layers = {"stem": related(40, 3)[0], "head": related(40, 8)[0]}
    similarity = ops.MinibatchCKA()
    similarity.update(layers)
    found = similarity.compute()
    assert similarity.names_x == similarity.names_y == ("stem", "head")
    torch.testing.assert_close(found.diagonal(), torch.ones(2, dtype=torch.float64))
    assert torch.equal(found, found.T)


def test_images_are_flattened() -> None:
    x = gaussian(12, 3 * 4 * 5, 1)
    similarity = ops.MinibatchCKA()
    similarity.update(x.view(12, 3, 4, 5), x)
    assert float(similarity.compute()) == pytest.approx(1, abs=1e-6)


def test_merge_is_more_batches() -> None:
    x, y = related(60, 4, 3)
    whole, first, second = ops.MinibatchCKA(), ops.MinibatchCKA(), ops.MinibatchCKA()
    for number, start in enumerate(range(0, 60, 15)):
        batch = slice(start, start + 15)
        whole.update([x[batch], y[batch]])
        (first if number < 1 else second).update([x[batch], y[batch]])
    joined = ops.MinibatchCKA()
    joined.merge(ops.MinibatchCKA())
    joined.merge(first)
    joined.merge(second)
    assert joined.batches == whole.batches == 4
    # Three additions in another order.
    torch.testing.assert_close(joined.compute(), whole.compute(), rtol=1e-13, atol=1e-13)
    whole.reset()
    assert whole.batches == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_short_floats(dtype: torch.dtype) -> None:
    x, y = (z.to(dtype) for z in related(60, 12, 7))
    found = ops.MinibatchCKA()
    found.update(x, y)
    expected = ops.linear_cka(x.double(), y.double(), debiased=True)
    # Gram entries are float32 sums of 12 products.
    assert float(found.compute()) == pytest.approx(float(expected), abs=12 * 1.2e-7)


def test_memory_maps_and_numpy(tmp_path: Path) -> None:
    x, y = (z.numpy().astype(np.float32) for z in related(300, 6, 5))
    np.save(tmp_path / "x.npy", x)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert ops.minibatch_cka(stored, y, batch_size=50) == ops.minibatch_cka(x, y, batch_size=50)
    similarity = ops.MinibatchCKA()
    similarity.update(x, y)
    assert isinstance(similarity.compute(), np.ndarray)
    assert ops.minibatch_cka(x, y, batch_size=50, seed=1) != ops.minibatch_cka(x, y, batch_size=50)


def test_a_layer_without_variance_is_nan() -> None:
    similarity = ops.MinibatchCKA()
    similarity.update([gaussian(9, 3), torch.ones(9, 2)])
    found = similarity.compute()
    assert float(found[0, 0]) == pytest.approx(1)
    assert torch.isnan(found[1, 1])


X = gaussian(9, 3)


@pytest.mark.parametrize(
    ("xs", "ys", "message"),
    [
        (X[:3], None, r"xs\[0\]: expected at least 4 items in a batch, found 3"),
        (X[:, 0], None, r"xs\[0\]: expected activations"),
        ([X, X[:5]], None, r"xs\[1\]: expected 9 items, found 5"),
        ([], None, "xs: expected at least one layer"),
        ({"a": X / 0}, None, r"xs\[a\]: expected finite numbers"),
        (X, X[:5], "xs and ys: expected the same items, found 9 and 5"),
        (X, X.to("meta"), "one device"),
    ],
)
def test_update_refuses_by_name(xs: object, ys: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.MinibatchCKA().update(xs, ys)


def test_other_layers_than_before_are_refused() -> None:
    similarity = ops.MinibatchCKA()
    with pytest.raises(ValueError, match="expected at least one batch before compute"):
        similarity.compute()
    similarity.update({"a": X}, X)
    with pytest.raises(ValueError, match="xs: expected the layers of the first batch"):
        similarity.update({"b": X}, X)
    with pytest.raises(ValueError, match="ys: expected the layers of the first batch"):
        similarity.update({"a": X}, [X, X])
    other = ops.MinibatchCKA()
    other.update(X)
    with pytest.raises(ValueError, match="other: expected an accumulator of the same layers"):
        similarity.merge(other)
    with pytest.raises(TypeError, match=r"xs\[0\]: expected an array of real numbers"):
        similarity.update(["words"], X)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X[:, 0], X, {}, "x: expected a matrix"),
        (X, X[:5], {}, "x and y: expected the same items"),
        (X[:3], X[:3], {}, "x: expected at least 4 items, found 3"),
        (X, X, {"batch_size": 3}, "batch_size: expected 4 to"),
        (X, X, {"epochs": 0}, "epochs: expected 1 to"),
        (X, X, {"seed": -1}, "seed: expected 0 to"),
    ],
)
def test_the_function_refuses_by_name(x: torch.Tensor, y: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.minibatch_cka(x, y, **options)
