"""Alignment by CKA against plain autograd on the items themselves."""

import numpy as np
import pytest
import torch
from by_definition import success_rate
from numpy.typing import NDArray

from diptych.rdx import Alignment, align_by_cka, compare

pytestmark = pytest.mark.usefixtures("one_thread")


def pair(n: int = 60, d: int = 4, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two views of the same latent items, the first with its directions out of proportion."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, d))
    x = latent * np.geomspace(0.3, 3, d) + 0.1 * rng.normal(size=(n, d)) + 5
    return x, latent @ rng.normal(size=(d, d + 2)) + 0.1 * rng.normal(size=(n, d + 2))


def cka(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Linear CKA from the centred Gram matrices (Kornblith et al. 2019, eq. 4)."""
    n = len(x)
    centre = torch.eye(n, dtype=x.dtype) - 1 / n
    gram_x, gram_y = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return (gram_x * gram_y).sum() / (gram_x.norm() * gram_y.norm())


def plain(
    x: NDArray[np.float64], y: NDArray[np.float64], steps: int, learning_rate: float, seed: int
) -> tuple[torch.Tensor, float, float, int]:
    """Adam on 1 - CKA of the training items, the best validation step kept."""
    tensor_x, tensor_y = torch.tensor(x), torch.tensor(y)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cut = round(0.3 * len(x))
    held_out, train = order[:cut], order[cut:]
    m = torch.eye(x.shape[1], dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([m], lr=learning_rate)
    with torch.no_grad():
        history = [(float(cka(tensor_x[held_out] @ m, tensor_y[held_out])), m.clone())]
    for _ in range(steps):
        adam.zero_grad()
        (1 - cka(tensor_x[train] @ m, tensor_y[train])).backward()
        adam.step()
        with torch.no_grad():
            history.append((float(cka(tensor_x[held_out] @ m, tensor_y[held_out])), m.clone()))
    step = int(np.argmax([value for value, _ in history]))
    return history[step][1], history[0][0], history[step][0], step


@pytest.mark.parametrize(("learning_rate", "seed"), [(1e-3, 0), (1e-3, 7), (3e-2, 1)])
def test_alignment_is_plain_autograd_on_the_items(learning_rate: float, seed: int) -> None:
    x, y = pair()
    found = align_by_cka(x, y, learning_rate=learning_rate, seed=seed)
    matrix, before, after, step = plain(x, y, 100, learning_rate, seed)
    assert found.step == step
    # float64 both; Adam divides by the root of its second moment, which carries 1e-16 of the gradient's
    # rounding to at most 1e-10 a step of size learning_rate.
    np.testing.assert_allclose(found.matrix, matrix.numpy(), atol=1e-8)
    assert found.cka_before == pytest.approx(before, abs=1e-12)
    assert found.cka_after == pytest.approx(after, abs=1e-9)


def test_cka_rises_on_all_items() -> None:
    x, y = pair()
    found = align_by_cka(x, y)
    assert found.cka_after > found.cka_before
    assert found.step > 0
    before, after = (
        cka(torch.tensor(x), torch.tensor(y)),
        cka(torch.tensor(x @ found.matrix), torch.tensor(y)),
    )
    assert float(after) > float(before) + 0.01


def test_no_steps_give_the_identity() -> None:
    x, y = pair()
    found = align_by_cka(x, y, steps=0)
    np.testing.assert_array_equal(found.matrix, np.eye(4))
    assert found.step == 0
    assert found.cka_after == found.cka_before


def test_a_step_that_does_not_help_is_not_kept() -> None:
    x, _ = pair()
    found = align_by_cka(x, x)
    # CKA is 1 already; nothing can be above it but rounding.
    assert found.cka_before == pytest.approx(1, abs=1e-12)
    assert found.cka_after == pytest.approx(1, abs=1e-12)


def test_the_seed_chooses_the_split() -> None:
    x, y = pair()
    first, again, other = (align_by_cka(x, y, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.matrix, again.matrix)
    assert first.cka_before != other.cka_before


def test_kinds_of_arrays_go_through() -> None:
    x, y = pair()
    assert isinstance(align_by_cka(x.astype(np.float32), y.astype(np.float32)).matrix, np.ndarray)
    halves = align_by_cka(torch.tensor(x).half(), torch.tensor(y))
    assert isinstance(halves.matrix, torch.Tensor)
    assert not halves.matrix.requires_grad
    integers = align_by_cka(np.round(10 * x).astype(np.int64), y)
    assert integers.matrix.dtype == np.float64


def test_the_gradient_modes_of_the_caller_do_not_matter() -> None:
    x, y = (torch.tensor(array) for array in pair())
    expected = align_by_cka(x, y).matrix

    def found() -> Alignment:
        return align_by_cka(x.clone(), y.clone())

    with torch.no_grad():
        assert torch.equal(found().matrix, expected)
    with torch.inference_mode():
        assert torch.equal(found().matrix, expected)
    learned = align_by_cka(x.clone().requires_grad_(), y.clone().requires_grad_())
    assert torch.equal(learned.matrix, expected)


@pytest.mark.parametrize("scale", [2.0**-90, 2.0**90])
def test_float32_of_extreme_scale_neither_over_nor_underflows(scale: float) -> None:
    x, y = (array.astype(np.float32) for array in pair())
    expected = align_by_cka(x, y)
    found = align_by_cka(x * np.float32(scale), y * np.float32(scale))
    np.testing.assert_allclose(found.matrix, expected.matrix, atol=1e-6)  # float32 rounding of a step


def test_the_arguments_are_left_as_they_were() -> None:
    x, y = pair()
    copies = x.copy(), y.copy()
    align_by_cka(x, y)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


def test_bad_input_is_named() -> None:
    x, y = pair()
    spoiled = x.copy()
    spoiled[3, 0] = np.inf
    for arguments, options, message in (
        ((x, y[:-1]), {}, "x and target: expected the same items, found 60 and 59"),
        ((x[:4], y[:4]), {}, "validation_share: 0.3 of 4 items leaves 1 to validate and 3"),
        ((x, y), {"validation_share": 0.0}, "validation_share: 0.0 of 60 items"),
        ((x, y), {"validation_share": float("nan")}, "validation_share: expected 0 to 1, found nan"),
        ((x, y), {"validation_share": 1.5}, "validation_share: expected 0 to 1, found 1.5"),
        ((x, y), {"steps": -1}, "steps: expected 0"),
        ((x, y), {"learning_rate": 0.0}, "learning_rate: expected a number above 0"),
        ((spoiled, y), {}, "x: expected finite numbers, found NaN or Inf in row 3"),
        ((x, y[:, 0]), {}, "target: expected a matrix"),
        ((np.ones((20, 2)), y[:20]), {}, "x: all items are the same"),
        ((x[:20], np.ones((20, 2))), {}, "target: all items are the same"),
    ):
        with pytest.raises(ValueError, match=message):
            align_by_cka(*arguments, **options)
    for options, message in (
        ({"steps": 2.5}, "steps: expected an integer"),
        ({"seed": "x"}, "seed: expected"),
    ):
        with pytest.raises(TypeError, match=message):
            align_by_cka(x, y, **options)
    with pytest.raises(ValueError, match="seed: expected"):
        align_by_cka(x, y, seed=-1)
    with pytest.raises(TypeError, match="target: expected"):
        align_by_cka(x, y.astype(complex))


@pytest.mark.parametrize("align", ["a_to_b", "b_to_a"])
def test_an_aligned_comparison_is_that_of_the_aligned_arrays(align: str) -> None:
    a, b = pair()
    found = compare(a, b, align=align, n_explanations=2, progress=False)
    to_b, to_a = align_by_cka(a, b).matrix, align_by_cka(b, a).matrix
    moved = (a @ to_b, b) if align == "a_to_b" else (a, b @ to_a)
    expected = compare(*moved, n_explanations=2, progress=False)
    raw = compare(a, b, n_explanations=2, progress=False)
    for side, other, plain_side in ((found.a, expected.a, raw.a), (found.b, expected.b, raw.b)):
        np.testing.assert_array_equal(side.labels, other.labels)
        assert [grid.tolist() for grid in side.grids] == [grid.tolist() for grid in other.grids]
        assert side.bsr == other.bsr
        assert other.raw_bsr is None
        assert plain_side.raw_bsr is None
        assert side.raw_bsr is not None
    # Similarities are told of what was given, not of what alignment made of it.
    assert found.cka == raw.cka
    assert found.mutual_knn == raw.mutual_knn
    assert found.embeddings is not None
    np.testing.assert_array_equal(found.embeddings[0], a)
    np.testing.assert_array_equal(found.embeddings[1], b)


def test_aligned_runs_are_also_scored_on_the_raw_representations() -> None:
    a, b = pair()
    found = compare(a, b, align="a_to_b", n_explanations=2, progress=False)
    moved = a @ align_by_cka(a, b).matrix
    assert found.a.bsr == pytest.approx(success_rate(found.a.grids, moved, b, "neighborhood"), abs=1e-12)
    assert found.a.raw_bsr == pytest.approx(success_rate(found.a.grids, a, b, "neighborhood"), abs=1e-12)
    assert found.b.bsr == pytest.approx(success_rate(found.b.grids, b, moved, "neighborhood"), abs=1e-12)
    assert found.b.raw_bsr == pytest.approx(success_rate(found.b.grids, b, a, "neighborhood"), abs=1e-12)
