"""SparseAutoencoder: its loss, its schedule, its determinism, scikit-learn's estimator contract."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from diptych.estimators import SparseAutoencoder

pytestmark = pytest.mark.usefixtures("one_thread")


def data(n=60, d=7, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)) * np.arange(1, d + 1) + 5


def loss_by_definition(model, x, l1):
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    codes = np.maximum(z @ model.encoder_.T + model.encoder_bias_, 0)
    error = z - codes @ model.decoder_ - model.decoder_bias_
    return (error**2).mean() + l1 * codes.sum() / len(x)


def test_codes_and_reconstruction_are_what_the_weights_say():
    x = data()
    model = SparseAutoencoder(4, epochs=5, random_state=0).fit(x)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    codes = np.maximum(z @ model.encoder_.T + model.encoder_bias_, 0)
    # Codes are computed in float32, eps 1.2e-7.
    np.testing.assert_allclose(model.transform(x), codes, atol=1e-5)
    wanted = (codes @ model.decoder_ + model.decoder_bias_) * x.std(axis=0) + x.mean(axis=0)
    np.testing.assert_allclose(model.inverse_transform(codes), wanted, rtol=1e-10)
    assert model.transform(x).min() >= 0


@pytest.mark.parametrize("l1", [0.0, 0.5])
def test_the_loss_reported_is_the_one_defined(l1):
    x = data()
    # One full-batch epoch at a rate too small to move: the loss is that of the weights left.
    model = SparseAutoencoder(4, l1=l1, lr=1e-12, epochs=1, random_state=0).fit(x)
    # Float32 sums over 420 entries.
    np.testing.assert_allclose(model.loss_curve_[0], loss_by_definition(model, x, l1), rtol=1e-5)


def test_loss_falls_on_real_data():
    x = load_digits().data
    model = SparseAutoencoder(16, epochs=120, batch_size=600, random_state=0, lr=1e-2).fit(x)
    smooth = model.loss_curve_.reshape(12, 10).mean(axis=1)
    assert (np.diff(smooth) < 0).all()
    z = StandardScaler().fit_transform(x)
    nothing = np.mean(z**2)
    principal = PCA(16).fit(z)
    least = np.mean((z - principal.inverse_transform(principal.transform(z))) ** 2)
    # Reconstructions lie in an affine space of 16 dimensions, where principal components are best;
    # a tenth of the way above them is what the penalty and 120 epochs may cost.
    assert least < smooth[-1]
    assert smooth[-1] - least < 0.1 * (nothing - least)


def test_a_penalty_shrinks_the_codes():
    x = data(200)
    loose, tight = (
        SparseAutoencoder(6, l1=l1, epochs=150, lr=1e-2, random_state=0).fit_transform(x).sum()
        for l1 in (0.0, 0.3)
    )
    assert tight < 0.5 * loose


def test_one_step_is_adams_with_the_warmed_up_rate():
    x = data()
    start = SparseAutoencoder(4, lr=1e-12, epochs=1, random_state=0).fit(x)
    # Adam's first step moves every weight with a gradient by the learning rate, whatever its size;
    # the first of ten warm-up epochs of one step each has a tenth of it.
    for warmup_epochs, share in ((10, 0.1), (1, 1.0), (0, 1.0)):
        model = SparseAutoencoder(4, lr=1e-2, warmup_epochs=warmup_epochs, epochs=1, random_state=0).fit(x)
        moved = np.abs(model.decoder_ - start.decoder_)
        # Float32 weights below 1 carry 6e-8 of rounding; gradients above 1e-5 hide Adam's 1e-8.
        np.testing.assert_allclose(np.median(moved), share * 1e-2, rtol=1e-3)


def test_warm_up_rises_linearly_over_the_steps(monkeypatch):
    rates = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda self, *args: (rates.append(self.param_groups[0]["lr"]), step(self, *args))[1],
    )
    SparseAutoencoder(2, lr=0.6, epochs=3, warmup_epochs=2, batch_size=20, random_state=0).fit(data(60))
    # Three steps an epoch, six of warm-up.
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6], rtol=1e-12)


def test_a_seed_repeats_the_fit_and_leaves_torchs_generator_alone():
    x = data(50)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    options = {"epochs": 20, "batch_size": 16, "random_state": 3}
    first = SparseAutoencoder(4, **options).fit(x)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    with torch.no_grad():
        second = SparseAutoencoder(4, **options).fit(x)
    np.testing.assert_array_equal(first.encoder_, second.encoder_)
    np.testing.assert_array_equal(first.loss_curve_, second.loss_curve_)
    other = SparseAutoencoder(4, **{**options, "random_state": 4}).fit(x)
    assert not np.array_equal(first.encoder_, other.encoder_)


def test_units_and_offsets_of_the_features_do_not_matter():
    x = data()
    plain = SparseAutoencoder(4, epochs=10, random_state=0).fit_transform(x)
    # Powers of two change no digit of the z-scores.
    moved = SparseAutoencoder(4, epochs=10, random_state=0).fit_transform(x * 2.0**-400)
    np.testing.assert_array_equal(plain, moved)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e300, 1e-300])
def test_constant_columns_give_no_division_by_zero(constant):
    x = data()
    x[:, 2] = constant
    with np.errstate(all="raise", under="ignore"):
        model = SparseAutoencoder(3, epochs=3, random_state=0).fit(x)
        codes = model.transform(x)
    assert np.isfinite(codes).all()
    assert model.scale_[2] == 1
    # The mean of sixty equal values, to rounding.
    np.testing.assert_allclose(model.mean_[2], constant, rtol=1e-13)


def test_one_item_is_enough():
    model = SparseAutoencoder(2, epochs=2, random_state=0).fit(np.ones((1, 3)))
    assert model.transform(np.ones((1, 3))).shape == (1, 2)
    np.testing.assert_array_equal(model.scale_, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay(dtype):
    x = data().astype(dtype)
    model = SparseAutoencoder(3, epochs=2, random_state=0).fit(x)
    codes = model.transform(x)
    assert codes.dtype == model.inverse_transform(codes).dtype == dtype


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives():
    x = data(200)
    host, device = (
        SparseAutoencoder(4, epochs=5, random_state=0, device=name).fit_transform(x)
        for name in ("cpu", "cuda")
    )
    # Five float32 steps whose sums run in another order.
    np.testing.assert_allclose(device, host, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"width": 0}, ValueError, "width: expected 1 to .*, found 0"),
        ({"width": 1.5}, TypeError, "width: expected an integer, found 1.5"),
        ({"l1": -1.0}, ValueError, "l1: expected a finite number of at least 0, found -1.0"),
        ({"lr": 0.0}, ValueError, "lr: expected a number above 0 .* found 0.0"),
        ({"lr": None}, TypeError, "lr: expected a number, found None"),
        ({"epochs": 0}, ValueError, "epochs: expected 1 to .*, found 0"),
        ({"warmup_epochs": -1}, ValueError, "warmup_epochs: expected 0 to .*, found -1"),
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 to .*, found 0"),
    ],
)
def test_bad_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        SparseAutoencoder(**{"width": 2, **options}).fit(data())


def test_bad_data_is_named():
    x = data()
    x[5, 0] = np.nan
    with pytest.raises(ValueError, match="X: expected finite numbers, found NaN or Inf in row 5"):
        SparseAutoencoder(2).fit(x)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        SparseAutoencoder(2).fit(np.ones(6))
    with pytest.raises(NotFittedError):
        SparseAutoencoder(2).transform(data())
    with pytest.raises(NotFittedError):
        SparseAutoencoder(2).inverse_transform(data(d=2))
    model = SparseAutoencoder(2, epochs=1, random_state=0).fit(data())
    with pytest.raises(ValueError, match="X has 4 features, but SparseAutoencoder is expecting 7"):
        model.transform(np.ones((6, 4)))
    with pytest.raises(ValueError, match=r"X: expected shape \(n_samples, 2\), found \(6, 3\)"):
        model.inverse_transform(np.ones((6, 3)))


@parametrize_with_checks([SparseAutoencoder(2, epochs=3, random_state=0)])
def test_scikit_learns_contract(estimator, check):
    check(estimator)
