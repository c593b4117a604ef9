"""Concept integrated gradients: against quadrature, closed forms, completeness and invariances."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers import gaussian
from scipy.integrate import quad
from torch import nn

from diptych import rsvc

N, K, D, C = 7, 3, 9, 4


def problem(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    return gaussian(N, K, 0, dtype).abs(), gaussian(K, D, 1, dtype)


def linear(dtype: torch.dtype = torch.float64) -> nn.Linear:
    head = nn.Linear(D, C, dtype=dtype)
    with torch.no_grad():
        head.weight.copy_(gaussian(C, D, 2))
        head.bias.copy_(gaussian(1, C, 3)[0])
    return head


def smooth(activations: torch.Tensor) -> torch.Tensor:
    weight = gaussian(D, C, 4, torch.float64).to(activations)
    return torch.tanh(activations @ weight / 3) + (activations @ weight / 5).square() / 7


def perceptron(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, 16), nn.GELU(), nn.Linear(16, C)).to(dtype)


def definition(u: np.ndarray, w: np.ndarray, head: Callable, target: int) -> np.ndarray:
    """The integral of eq. 1, entry by entry, by adaptive quadrature of central differences."""
    result = np.empty_like(u)

    def logit(row: np.ndarray) -> float:
        with torch.no_grad():
            return float(head(torch.from_numpy(row @ w)[None])[0, target])

    step = 1e-5
    for i, j in np.ndindex(*u.shape):
        unit = step * np.eye(u.shape[1])[j]

        def slope(share: float, row: np.ndarray = u[i], unit: np.ndarray = unit) -> float:
            return (logit(share * row + unit) - logit(share * row - unit)) / (2 * step)

        result[i, j] = u[i, j] * quad(slope, 0, 1)[0]
    return result


@pytest.mark.parametrize("head", [smooth, perceptron()])
def test_the_rule_nears_the_integral_as_the_square_of_its_steps(head: Callable) -> None:
    u, w = problem()
    wanted = definition(u.numpy(), w.numpy(), head, 2)
    errors = [
        np.abs(rsvc.concept_integrated_gradients(u, w, head, 2, steps=steps).numpy() - wanted).max()
        for steps in (10, 30, 300)
    ]
    # Central differences of 1e-5 are good to their square times a third derivative of order one.
    assert errors[2] < 1e-5
    assert errors[1] < 2e-3
    assert errors[1] < errors[0] / 4


def test_a_linear_head_has_a_closed_form_equal_to_the_integral() -> None:
    u, w = problem()
    head = linear()
    closed = rsvc.concept_integrated_gradients(u, w, head, 1)
    # Exact for any rule: a few dozen roundings of numbers of order one.
    integral = rsvc.concept_integrated_gradients(u, w, nn.Sequential(head), 1, steps=7)
    torch.testing.assert_close(closed, integral, rtol=0, atol=1e-13)
    by_hand = u * (w @ head.weight.detach()[1])
    torch.testing.assert_close(closed, by_hand, rtol=0, atol=1e-13)
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    for pair in ((weight, bias), (weight, None), (torch.from_numpy(weight), bias.tolist())):
        same = rsvc.concept_integrated_gradients(u, w, pair, 1)
        torch.testing.assert_close(same, closed, rtol=0, atol=0)


def test_a_quadratic_logit_is_exact_with_one_step() -> None:
    u, w = problem()
    weight = gaussian(D, C, 5, torch.float64)
    found = rsvc.concept_integrated_gradients(u, w, lambda a: (a @ weight).square(), 3, steps=1)
    along = u @ w @ weight[:, 3]
    # ∫ 2α (Σ_l u_l v_l) v_j u_j dα
    wanted = u * (w @ weight[:, 3]) * along[:, None]
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("head", "slack"), [(linear(), 1e-12), (smooth, 5e-3), (perceptron(), 5e-3)])
def test_completeness(head: Callable, slack: float) -> None:
    u, w = problem()
    with torch.no_grad():
        gain = (head(u @ w) - head(torch.zeros(1, D, dtype=torch.float64)))[:, 0]
    # Rounding for the linear head; for smooth ones the rule's error of 30 steps, |f'''|/(24·900).
    found = rsvc.concept_integrated_gradients(u, w, head, 0).sum(1)
    torch.testing.assert_close(found, gain, rtol=0, atol=slack)
    if not isinstance(head, nn.Linear):
        many = rsvc.concept_integrated_gradients(u, w, head, 0, steps=3000).sum(1)
        torch.testing.assert_close(many, gain, rtol=0, atol=slack * 1e-3)


def test_kinks_cost_at_most_half_a_step_of_their_jump() -> None:
    u = torch.tensor([[1.0]], dtype=torch.float64)
    w = torch.tensor([[1.0]], dtype=torch.float64)
    for place in (0.1, 0.37, 0.6):
        found = rsvc.concept_integrated_gradients(u, w, lambda a, p=place: torch.relu(a - p), 0, steps=10)
        assert abs(float(found) - (1 - place)) <= 0.05 + 1e-12


@pytest.mark.parametrize("head", [linear(), perceptron()])
def test_permuting_and_scaling_concepts(head: Callable) -> None:
    u, w = problem()
    plain = rsvc.concept_integrated_gradients(u, w, head, 2)
    order = torch.tensor([2, 0, 1])
    permuted = rsvc.concept_integrated_gradients(u[:, order], w[order], head, 2)
    torch.testing.assert_close(permuted, plain[:, order], rtol=1e-12, atol=1e-13)
    scale = torch.tensor([2.0, 0.25, 8.0], dtype=torch.float64)
    scaled = rsvc.concept_integrated_gradients(u * scale, w / scale[:, None], head, 2)
    torch.testing.assert_close(scaled, plain, rtol=1e-12, atol=1e-13)


def test_concepts_nobody_has_matter_nothing() -> None:
    u, w = problem()
    u[:, 1] = 0
    for head in (linear(), perceptron()):
        assert (rsvc.concept_integrated_gradients(u, w, head, 2)[:, 1] == 0).all()


def test_kinds_and_dtypes_come_back() -> None:
    u, w = problem(torch.float32)
    wide = rsvc.concept_integrated_gradients(u.double(), w.double(), perceptron(), 2)
    for head in (linear(), linear(torch.float32), perceptron(), perceptron(torch.float32)):
        found = rsvc.concept_integrated_gradients(u.numpy(), w.numpy(), head, 2)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float32
    # Float32 eps 1.2e-7 over sums of some hundred terms of order one.
    np.testing.assert_allclose(found, wide.numpy(), atol=1e-4)
    assert rsvc.concept_integrated_gradients(u, w.double(), linear(), 2).dtype == torch.float64


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    u, w = problem()
    whole = rsvc.concept_integrated_gradients(u, w, perceptron(), 2)
    monkeypatch.setattr("diptych.rsvc.importance._BLOCK_BYTES", 3 * D * 8)
    blocks = rsvc.concept_integrated_gradients(u, w, perceptron(), 2)
    torch.testing.assert_close(blocks, whole, rtol=1e-12, atol=1e-13)


def test_a_module_is_evaluated_and_left_as_it_was() -> None:
    u, w = problem()
    head = nn.Sequential(nn.Linear(D, C, dtype=torch.float64), nn.Dropout(0.5), nn.ReLU())
    head[2].eval()
    first, second = (rsvc.concept_integrated_gradients(u, w, head, 2) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert [part.training for part in (head, *head)] == [True, True, True, False]
    assert all(parameter.grad is None for parameter in head.parameters())
    with torch.no_grad():
        torch.testing.assert_close(rsvc.concept_integrated_gradients(u, w, head, 2), first, rtol=0, atol=0)


def test_the_mean_is_over_patches() -> None:
    attributions = np.array([[1.0, -2.0], [3.0, 4.0], [5.0, 1.0]], np.float32)
    found = rsvc.mean_importance(attributions)
    np.testing.assert_array_equal(found, np.array([3, 1], np.float32))
    assert found.dtype == np.float32
    with pytest.raises(ValueError, match="attributions: expected finite numbers, found NaN or Inf in row 1"):
        rsvc.mean_importance(np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match="attributions: expected a matrix"):
        rsvc.mean_importance(np.ones(3))


class Forgetful(nn.Module):
    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(activations), C, requires_grad=True) * 2


GOOD = {"coefficients": np.ones((N, K)), "basis": np.ones((K, D)), "head": linear(), "target": 0}
BAD = [
    ({"coefficients": np.ones(5)}, ValueError, r"coefficients: expected a matrix \(n, d\), found shape"),
    ({"coefficients": np.ones((N, K - 1))}, ValueError, "same concepts, found 2 columns, 3 rows"),
    ({"coefficients": np.full((N, K), np.nan)}, ValueError, "coefficients: expected finite numbers"),
    ({"basis": np.full((K, D), np.inf)}, ValueError, "basis: expected finite numbers"),
    ({"target": C}, ValueError, "target: expected 0 to 3, found 4"),
    ({"target": -1}, ValueError, "target: expected 0 to 3, found -1"),
    ({"target": True}, TypeError, "target: expected an integer, found True"),
    ({"target": C, "head": smooth}, ValueError, "target: expected 0 to 3, found 4"),
    ({"steps": 0}, ValueError, "steps: expected 1 to"),
    ({"steps": 2.5}, TypeError, "steps: expected an integer, found 2.5"),
    ({"head": 3}, TypeError, r"head: expected a module, a function or a pair \(weight, bias\), found int"),
    ({"head": nn.Linear(D + 1, C)}, ValueError, r"head: expected a weight \(c, 9\), found shape \(4, 10\)"),
    (
        {"head": (np.ones((C, D)), np.ones(3))},
        ValueError,
        r"head: expected a bias \(4,\), found shape \(3,\)",
    ),
    ({"head": (np.full((C, D), np.nan), None)}, ValueError, "head: weight: expected finite numbers"),
    ({"head": (np.ones(D), None)}, ValueError, r"head: expected a weight \(c, 9\), found shape \(9,\)"),
    (
        {"head": (np.ones((0, D)), None)},
        ValueError,
        r"head: expected a weight \(c, 9\), found shape \(0, 9\)",
    ),
    (
        {"head": lambda a: a[:, 0]},
        ValueError,
        r"head: expected logits \(7, c\) of 7 patches, found shape \(7,\)",
    ),
    (
        {"head": lambda a: a[:3]},
        ValueError,
        r"head: expected logits \(7, c\) of 7 patches, found shape \(3, 9\)",
    ),
    (
        {"head": lambda a: a.detach().numpy()},
        TypeError,
        "head: expected a torch tensor of logits, found ndarray",
    ),
    ({"head": lambda a: a.detach()}, ValueError, "head: its logits have no gradient"),
    ({"head": lambda a: a / 0}, ValueError, "head: logits: expected finite numbers"),
    ({"head": Forgetful()}, ValueError, "head: its logits do not depend on the activations"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input_is_named(change: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rsvc.concept_integrated_gradients(**(GOOD | change))
