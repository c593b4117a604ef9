"""The replacement test: against its definition concept by concept, scipy, and invariances."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers import gaussian
from scipy.special import rel_entr, softmax
from scipy.stats import pearsonr
from torch import nn

from diptych import rsvc

N, K, D, C = 31, 3, 9, 4


def problem() -> dict[str, np.ndarray]:
    u = gaussian(N, K, 0, torch.float64).abs().numpy()
    return {
        "coefficients": u,
        "basis": gaussian(K, D, 1, torch.float64).numpy(),
        "same": u + 0.1 * gaussian(N, K, 2, torch.float64).numpy(),
        "cross": u + 0.5 * gaussian(N, K, 3, torch.float64).numpy(),
    }


def linear(dtype: torch.dtype = torch.float64) -> nn.Linear:
    head = nn.Linear(D, C, dtype=dtype)
    with torch.no_grad():
        head.weight.copy_(gaussian(C, D, 4))
        head.bias.copy_(gaussian(1, C, 5)[0])
    return head


def perceptron(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, 16), nn.Tanh(), nn.Linear(16, C)).to(dtype)


def by_definition(
    coefficients: np.ndarray,
    basis: np.ndarray,
    same: np.ndarray,
    cross: np.ndarray,
    head: Callable,
    activations: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    share: float = 1.0,
) -> dict[str, np.ndarray]:
    """Every figure from whole activation matrices, one concept after the other."""

    def outcome(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rebuilt = u @ basis
        if activations is not None:
            rebuilt = rebuilt + (activations - coefficients @ basis)
        with torch.no_grad():
            return rebuilt, softmax(head(torch.from_numpy(rebuilt)).numpy(), axis=1)

    a, p = outcome(coefficients)
    truth = p.argmax(1) if labels is None else labels
    rows = []
    for j in range(len(basis)):
        results = []
        for predicted in (same, cross):
            u = coefficients.copy()
            u[:, j] = share * predicted[:, j] + (1 - share) * u[:, j]
            results.append(outcome(u))
        (a_same, p_same), (a_cross, p_cross) = results
        norm = np.linalg.norm
        rows.append(
            {
                "l2": norm(a_cross - a_same, axis=1).mean(),
                "kl": rel_entr(p_same, p_cross).sum(1).mean(),
                "match": (p_same.argmax(1) == p_cross.argmax(1)).mean(),
                "delta_l2": (norm(a_cross - a, axis=1) - norm(a_same - a, axis=1)).mean(),
                "delta_kl": (rel_entr(p, p_cross).sum(1) - rel_entr(p, p_same).sum(1)).mean(),
                "delta_accuracy": (p_cross.argmax(1) == truth).mean() - (p_same.argmax(1) == truth).mean(),
                "delta_pearson": pearsonr(coefficients[:, j], cross[:, j])[0]
                - pearsonr(coefficients[:, j], same[:, j])[0],
            }
        )
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def assert_as_defined(found: rsvc.Replacement, wanted: dict[str, np.ndarray]) -> None:
    assert set(found._asdict()) == set(wanted)
    for key, values in found._asdict().items():
        # Float64 sums of some hundred terms of order one; exponentials of logits up to twenty.
        np.testing.assert_allclose(values, wanted[key], rtol=1e-10, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("head", [linear(), perceptron()])
def test_against_the_definition(head: Callable, residual: bool, labelled: bool) -> None:
    arrays, options = problem(), {}
    if residual:
        noise = gaussian(N, D, 6, torch.float64).numpy()
        options["activations"] = arrays["coefficients"] @ arrays["basis"] + 0.3 * noise
    if labelled:
        options["labels"] = np.arange(N) % C
    found = rsvc.replacement_test(**arrays, head=head, **options)
    assert_as_defined(found, by_definition(**arrays, head=head, **options))
    assert (found.kl > 0).all()
    assert (found.delta_l2 > 0).all()
    assert found.match.min() < 1


def test_a_linear_head_by_rank_one_changes_is_the_general_way() -> None:
    arrays = problem()
    head = linear()
    plain = rsvc.replacement_test(**arrays, head=nn.Sequential(head))
    quick = rsvc.replacement_test(**arrays, head=head)
    assert_as_defined(quick, plain._asdict())


@pytest.mark.parametrize("head", [linear(), perceptron()])
def test_published_code_averages_with_the_real(head: Callable) -> None:
    arrays = problem()
    found = rsvc.replacement_test(**arrays, head=head, conventions="published-code")
    assert_as_defined(found, by_definition(**arrays, head=head, share=0.5))
    plain = rsvc.replacement_test(**arrays, head=head)
    np.testing.assert_allclose(found.l2, plain.l2 / 2, rtol=1e-14)
    np.testing.assert_array_equal(found.delta_pearson, plain.delta_pearson)


def test_equal_predictions_differ_in_nothing() -> None:
    arrays = problem()
    arrays["cross"] = arrays["same"]
    for head in (linear(), perceptron()):
        found = rsvc.replacement_test(**arrays, head=head)
        np.testing.assert_array_equal(found.match, 1)
        for key in ("l2", "kl", "delta_l2", "delta_kl", "delta_accuracy", "delta_pearson"):
            np.testing.assert_array_equal(getattr(found, key), 0)


def test_swapping_the_predictions_turns_the_deltas_around() -> None:
    arrays = problem()
    swapped = arrays | {"same": arrays["cross"], "cross": arrays["same"]}
    one, other = (rsvc.replacement_test(**each, head=linear()) for each in (arrays, swapped))
    for key in ("delta_l2", "delta_kl", "delta_accuracy", "delta_pearson"):
        np.testing.assert_array_equal(getattr(one, key), -getattr(other, key))
    np.testing.assert_array_equal(one.l2, other.l2)
    np.testing.assert_array_equal(one.match, other.match)
    assert not np.array_equal(one.kl, other.kl)


@pytest.mark.parametrize("head", [linear(), perceptron()])
def test_permuting_and_scaling_concepts(head: Callable) -> None:
    arrays = problem()
    plain = rsvc.replacement_test(**arrays, head=head)._asdict()
    order, scale = np.array([2, 0, 1]), np.array([2.0, 0.25, 8.0])
    basis = arrays.pop("basis")
    permuted = {key: value[:, order] for key, value in arrays.items()}
    found = rsvc.replacement_test(**permuted, basis=basis[order], head=head)
    assert_as_defined(found, {key: value[order] for key, value in plain.items()})
    scaled = {key: value * scale for key, value in arrays.items()}
    found = rsvc.replacement_test(**scaled, basis=basis / scale[:, None], head=head)
    assert_as_defined(found, plain)


@pytest.mark.parametrize("head", [linear(), perceptron()])
def test_blocks_do_not_show(head: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = problem() | {"labels": np.arange(N) % C}
    whole = rsvc.replacement_test(**arrays, head=head)
    monkeypatch.setattr("diptych.rsvc.replacement._BLOCK_BYTES", 5 * D * 8)
    assert_as_defined(rsvc.replacement_test(**arrays, head=head), whole._asdict())


def test_kinds_come_back_and_float32_stays_close() -> None:
    arrays = problem()
    wanted = rsvc.replacement_test(**arrays, head=linear())._asdict()
    tensors = {key: torch.from_numpy(value).float() for key, value in arrays.items()}
    for head in (linear(), linear(torch.float32), nn.Sequential(linear(torch.float32))):
        found = rsvc.replacement_test(**tensors, head=head)
        for key, values in found._asdict().items():
            assert isinstance(values, torch.Tensor)
            assert values.dtype == torch.float64
            # Float32 inputs, eps 1.2e-7, and in the last case float32 logits of size ten.
            np.testing.assert_allclose(values.numpy(), wanted[key], atol=1e-4, err_msg=key)


def test_a_concept_without_variance_has_no_correlation() -> None:
    arrays = problem()
    arrays["coefficients"][:, 1] = 0
    found = rsvc.replacement_test(**arrays, head=linear())
    assert np.isnan(found.delta_pearson).tolist() == [False, True, False]
    assert np.isfinite(found.kl).all()
    one = {key: value[:1] if key != "basis" else value for key, value in arrays.items()}
    found = rsvc.replacement_test(**one, head=linear())
    assert np.isnan(found.delta_pearson).all()
    assert np.isfinite(found.l2).all()


def test_certain_predictions_stay_finite() -> None:
    arrays = problem()
    weight = 1e4 * gaussian(C, D, 7, torch.float64)
    found = rsvc.replacement_test(**arrays, head=(weight, None))
    for key, values in found._asdict().items():
        assert np.isfinite(values).all(), key


def test_dropout_does_not_act() -> None:
    arrays = problem()
    head = nn.Sequential(linear(), nn.Dropout(0.5))
    assert_as_defined(
        rsvc.replacement_test(**arrays, head=head),
        rsvc.replacement_test(**arrays, head=linear())._asdict(),
    )
    assert head.training


BAD = [
    (
        {"same": np.ones((N, K - 1))},
        ValueError,
        r"coefficients and same: shapes differ, \(31, 3\) and \(31, 2\)",
    ),
    ({"cross": np.ones((N - 1, K))}, ValueError, r"coefficients and cross: shapes differ"),
    (
        {"same": np.full((N, K), np.nan)},
        ValueError,
        "same: expected finite numbers, found NaN or Inf in row 0",
    ),
    ({"cross": np.full((N, K), np.inf)}, ValueError, "cross: expected finite numbers"),
    ({"cross": np.full((N, K), "a")}, TypeError, "cross: expected an array of real numbers"),
    ({"coefficients": np.full((N, K), np.nan)}, ValueError, "coefficients: expected finite numbers"),
    ({"basis": np.ones((K + 1, D))}, ValueError, "same concepts, found 3 columns, 4 rows"),
    (
        {"activations": np.ones((N, D - 1))},
        ValueError,
        r"activations: expected shape \(31, 9\), found \(31, 8\)",
    ),
    ({"activations": np.full((N, D), np.nan)}, ValueError, "activations: expected finite numbers"),
    ({"labels": np.ones(N)}, TypeError, "labels: expected integers, found torch.float64"),
    ({"labels": np.ones(N - 1, int)}, ValueError, r"labels: expected shape \(31,\), found \(30,\)"),
    ({"labels": np.arange(N)}, ValueError, "labels: expected 0 to 3, found 4 in row 4"),
    ({"labels": np.full(N, -1)}, ValueError, "labels: expected 0 to 3, found -1 in row 0"),
    ({"conventions": "paper"}, ValueError, "conventions: expected one of 'default', 'published-code'"),
    ({"head": "linear"}, TypeError, "head: expected a module, a function or a pair"),
    ({"head": nn.Linear(D + 1, C)}, ValueError, r"head: expected a weight \(c, 9\), found shape \(4, 10\)"),
    ({"head": (np.full((C, D), np.nan), None)}, ValueError, "head: weight: expected finite numbers"),
    ({"head": (np.ones((C, D)), np.full(C, np.nan))}, ValueError, "head: bias: expected finite numbers"),
    ({"head": lambda a: a.sum(1)}, ValueError, r"head: expected logits \(31, c\) of 31 patches"),
    ({"head": lambda a: a / 0}, ValueError, "head: logits: expected finite numbers"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input_is_named(change: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rsvc.replacement_test(**(problem() | {"head": linear()} | change))
