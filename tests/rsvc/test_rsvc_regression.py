"""Regressions of concepts on activations against scikit-learn and celer, per fold, and invariances."""

import numpy as np
import pytest
import torch
from planted_concepts import MISSING, two_networks
from sklearn.linear_model import Lasso
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import StandardScaler

from diptych import rsvc
from diptych.rsvc.regression import image_folds

ALPHA, FOLDS = 0.1, 5

# The features' Gram matrices have no eigenvalue below 0.01: two solutions to a gap g differ by at most
# sqrt(2 g / 0.01) in any weight: 5e-5 for g of 1e-11.
TOL, APART = 1e-11, 1e-4

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data():
    return two_networks()


@pytest.fixture(scope="module")
def fitted(data):
    first, _, u, groups = data
    return rsvc.predict(first, u, groups, ALPHA, FOLDS, tol=TOL)


def by_fold(x, y, folds, make):
    """Weights (K, p, t) of one model after the other, on standardised data."""
    x, y = StandardScaler().fit_transform(x), StandardScaler().fit_transform(y)
    splits = PredefinedSplit(folds).split()
    return np.stack(
        [np.stack([make().fit(x[rows], column).coef_ for column in y[rows].T], 1) for rows, _ in splits]
    )


def test_weights_are_scikit_learns_of_every_fold(data, fitted) -> None:
    first, _, u, _ = data
    expected = by_fold(
        first, u, fitted.folds, lambda: Lasso(ALPHA, fit_intercept=False, tol=TOL, max_iter=10**5)
    )
    np.testing.assert_allclose(fitted.weights, expected, atol=APART)
    assert fitted.weights.shape == (FOLDS, 30, 4)
    assert (np.abs(fitted.weights) > 0.1).any()


def test_weights_are_celers_of_every_fold(data, fitted) -> None:
    celer = pytest.importorskip("celer", reason="celer is not installed")
    first, _, u, _ = data
    expected = by_fold(
        first, u, fitted.folds, lambda: celer.Lasso(ALPHA, fit_intercept=False, tol=TOL, max_iter=1000)
    )
    np.testing.assert_allclose(fitted.weights, expected, atol=APART)


def test_predictions_are_the_mean_of_the_fold_models(data, fitted) -> None:
    first, _, u, _ = data
    new = two_networks(seed=1)[0]
    x, y = StandardScaler().fit(first), StandardScaler().fit(u)
    each = [y.inverse_transform(x.transform(new) @ weights) for weights in fitted.weights]
    np.testing.assert_allclose(fitted.predict(new), np.mean(each, 0), atol=TOL)


def test_held_out_predictions_come_from_the_model_that_did_not_see_the_image(data, fitted) -> None:
    first, _, u, groups = data
    x = StandardScaler().fit_transform(first)
    y = StandardScaler().fit(u)
    for patch in range(len(u)):
        model = fitted.weights[fitted.folds[patch]]
        expected = y.inverse_transform((x[patch] @ model)[None])[0]
        np.testing.assert_allclose(fitted.held_out[patch], expected, atol=TOL)
    for image in np.unique(groups):
        assert len(set(fitted.folds[groups == image])) == 1


def test_a_fold_model_does_not_depend_on_what_is_held_out_of_it(data) -> None:
    """Beyond the standardisation, which swapping the held-out coefficients among themselves leaves alone."""
    first, _, u, groups = data
    folds = image_folds(groups, len(u), FOLDS)
    swapped = u.copy()
    held_out = np.flatnonzero(folds == 3)
    swapped[held_out] = u[held_out[::-1]]
    before = rsvc.predict(first, u, groups, ALPHA, FOLDS, tol=TOL)
    after = rsvc.predict(first, swapped, groups, ALPHA, FOLDS, tol=TOL)
    np.testing.assert_allclose(after.weights[3], before.weights[3], atol=TOL)
    assert np.abs(after.weights[0] - before.weights[0]).max() > 0.01


def test_the_features_are_as_well_conditioned_as_said(data) -> None:
    x = StandardScaler().fit_transform(data[0])
    assert np.linalg.eigvalsh(x.T @ x / len(x))[0] > 0.01


def test_counts_and_gaps(fitted) -> None:
    np.testing.assert_array_equal(fitted.nonzero, np.count_nonzero(fitted.weights, axis=1))
    assert fitted.nonzero.shape == fitted.gaps.shape == (FOLDS, 4)
    # At most tol |y|²/n, and |y|²/n of standardised targets over four folds is about 1.
    assert fitted.gaps.max() <= 2 * TOL
    assert 0 < fitted.nonzero.min() <= fitted.nonzero.max() < 30


def test_what_another_network_lacks_is_predicted_worst(data) -> None:
    _, second, u, groups = data
    crossed = rsvc.predict(second, u, groups)
    similarity = rsvc.predicted_similarity(crossed.held_out, u)
    assert similarity.argmin() == MISSING
    others = np.delete(similarity, MISSING)
    assert others.min() > 0.95
    assert similarity[MISSING] < 0.5


def test_concepts_side_by_side_are_concepts_alone(data) -> None:
    first, _, u, groups = data
    other = two_networks(seed=0)[2][:, ::-1] ** 2
    joint = rsvc.predict(first, np.hstack([u, other]), groups, tol=TOL)
    alone = rsvc.predict(first, other, groups, tol=TOL)
    part = joint.of_concepts(slice(4, 8))
    np.testing.assert_allclose(part.weights, alone.weights, atol=APART)
    np.testing.assert_allclose(part.predict(first), alone.predict(first), atol=1e-3)
    np.testing.assert_array_equal(part.nonzero, joint.nonzero[:, 4:])
    assert part.held_out.shape == other.shape


def test_order_of_patches_and_names_of_images_do_not_matter(data) -> None:
    first, _, u, groups = data
    order = np.random.default_rng(0).permutation(len(u))
    names = np.array([f"image-{group:03d}" for group in groups])
    straight = rsvc.predict(first, u, groups, tol=TOL)
    mixed = rsvc.predict(first[order], u[order], names[order], tol=TOL)
    np.testing.assert_array_equal(mixed.folds, straight.folds[order])
    np.testing.assert_allclose(mixed.weights, straight.weights, atol=APART)
    np.testing.assert_allclose(mixed.held_out, straight.held_out[order], atol=1e-3)


def test_one_penalty_for_each_concept(data) -> None:
    first, _, u, groups = data
    alphas = np.array([0.01, 0.1, 0.3, 0.5])
    mixed = rsvc.predict(first, u, groups, alphas, tol=TOL)
    for j, alpha in enumerate(alphas):
        alone = rsvc.predict(first, u[:, j : j + 1], groups, alpha, tol=TOL)
        np.testing.assert_allclose(mixed.weights[:, :, j : j + 1], alone.weights, atol=APART)
    np.testing.assert_array_equal(mixed.of_concepts(slice(1, 3)).alpha, alphas[1:3])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32])
def test_other_types_of_numbers(data, dtype) -> None:
    first, _, u, groups = data
    x = (10 * first).astype(dtype)
    fitted = rsvc.predict(x, u, groups)
    exact = rsvc.predict(x.astype(np.float64), u, groups)
    wide = np.float64 if dtype == np.int32 else np.float32
    assert fitted.weights.dtype == fitted.held_out.dtype == wide
    # Two solutions to a gap of 1e-5: predictions sqrt(2e-5) = 5e-3 standard deviations apart at most.
    np.testing.assert_allclose(fitted.held_out, exact.held_out, atol=0.01)


def test_tensors_stay_tensors_and_inputs_as_they_are(data) -> None:
    first, _, u, groups = (torch.from_numpy(part) for part in data)
    kept = first.clone(), u.clone()
    fitted = rsvc.predict(first, u, groups)
    assert torch.equal(first, kept[0])
    assert torch.equal(u, kept[1])
    arrays = fitted.weights, fitted.held_out, fitted.folds, fitted.gaps, fitted.predict(first), fitted.nonzero
    assert all(isinstance(array, torch.Tensor) for array in arrays)
    again = rsvc.predict(*data[:1], *data[2:])
    np.testing.assert_array_equal(fitted.weights.numpy(), again.weights)


def test_results_are_on_the_device_of_the_activations(data, device) -> None:
    first, _, u, groups = (torch.from_numpy(part).to(device) for part in data)
    fitted = rsvc.predict(first, u, groups, tol=TOL)
    arrays = fitted.weights, fitted.held_out, fitted.folds, fitted.gaps, fitted.predict(first), fitted.nonzero
    assert all(array.device.type == device.type for array in arrays)
    expected = rsvc.predict(data[0], data[2], data[3], tol=TOL)
    np.testing.assert_allclose(fitted.weights.cpu(), expected.weights, atol=APART)
    np.testing.assert_array_equal(fitted.folds.cpu(), expected.folds)
    similarity = rsvc.predicted_similarity(fitted.held_out, u)
    assert similarity.device.type == device.type
    np.testing.assert_allclose(
        similarity.cpu(), rsvc.predicted_similarity(expected.held_out, data[2]), atol=APART
    )


def test_strided_views(data) -> None:
    first, _, u, groups = data
    wide = np.full((2 * len(u), 60), np.nan)
    wide[::2, ::2] = first
    view = rsvc.predict(wide[::2, ::2], np.asfortranarray(u), groups)
    np.testing.assert_array_equal(view.weights, rsvc.predict(first, u, groups).weights)


def test_constant_features_have_no_weight_and_dead_concepts_are_predicted_as_they_are(data) -> None:
    first, _, u, groups = data
    x, y = first.astype(np.float32), u.astype(np.float32)
    x[:, 3], x[:, 4], y[:, 1] = 0, 0.1, 0
    fitted = rsvc.predict(x, y, groups)
    assert (fitted.source_scale[3:5] == 0).all()
    assert (fitted.weights[:, 3:5] == 0).all()
    assert fitted.target_scale[1] == 0
    assert (fitted.weights[:, :, 1] == 0).all()
    assert (fitted.held_out[:, 1] == 0).all()
    assert (fitted.predict(x)[:, 1] == 0).all()
    assert np.isfinite(fitted.held_out).all()


def test_a_column_that_varies_by_rounding_alone_is_constant(data) -> None:
    first, _, u, groups = data
    x = first.astype(np.float32)
    x[:, 0] = 3
    x[::2, 0] = np.nextafter(np.float32(3), np.float32(4))
    assert rsvc.predict(x, u, groups).source_scale[0] == 0


def test_folds_deal_images_in_turn() -> None:
    groups = np.array([7, 7, 2, 2, 9, 4, 4, 4, 11, 12])
    np.testing.assert_array_equal(image_folds(groups, 10, 3), [2, 2, 0, 0, 0, 1, 1, 1, 1, 2])
    np.testing.assert_array_equal(image_folds(None, 5, 2), [0, 1, 0, 1, 0])


def bad(data, **changes):
    first, _, u, groups = data
    return rsvc.predict(**{"activations_src": first, "coefficients_tgt": u, "groups": groups} | changes)


def test_refusals(data) -> None:
    first, _, u, groups = data
    nan = first.copy()
    nan[5, 2] = np.nan
    cases = [
        ({"groups": groups[:-1]}, ValueError, r"groups: .* shape \(192,\), found \(191,\)"),
        ({"groups": groups // 6}, ValueError, "groups: 5 folds need patches of at least 5 images, found 4"),
        ({"groups": groups.astype(float)}, TypeError, "groups: expected integers or strings, found float64"),
        ({"folds": 1}, ValueError, "folds: expected 2 to"),
        ({"folds": 2.5}, TypeError, "folds: expected an integer, found 2.5"),
        ({"alpha": 0.0}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": -1.0}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": np.ones(3)}, ValueError, r"alpha: expected a number or shape \(4,\), found \(3,\)"),
        ({"tol": 0.0}, ValueError, "tol: expected a number above 0"),
        ({"coefficients_tgt": u[1:]}, ValueError, "activations_src and coefficients_tgt: .*192 and 191 rows"),
        ({"coefficients_tgt": u[:, 0]}, ValueError, r"coefficients_tgt: expected a matrix .* \(192,\)"),
        ({"activations_src": first[:, 0]}, ValueError, r"activations_src: expected a matrix .* \(192,\)"),
        ({"activations_src": nan}, ValueError, "activations_src: .* NaN or Inf in row 5"),
        ({"coefficients_tgt": u + np.inf}, ValueError, "coefficients_tgt: .* NaN or Inf"),
        ({"activations_src": first * 0 + 2}, ValueError, "activations_src: all patches have the same"),
        ({"activations_src": first * 1e200}, ValueError, "activations_src: expected entries of size"),
        ({"activations_src": "abc"}, TypeError, "activations_src: expected"),
    ]
    for changes, kind, message in cases:
        with pytest.raises(kind, match=message):
            bad(data, **changes)


def test_predicting_refusals(data, fitted) -> None:
    first = data[0]
    with pytest.raises(ValueError, match="activations: expected 30 features as in training, found 29"):
        fitted.predict(first[:, 1:])
    with pytest.raises(ValueError, match=r"activations: expected a matrix .* found shape \(30,\)"):
        fitted.predict(first[0])
    with pytest.raises(ValueError, match=r"activations: .* NaN or Inf in row 1"):
        fitted.predict(np.where(np.arange(3)[:, None] == 1, np.nan, first[:3]))
