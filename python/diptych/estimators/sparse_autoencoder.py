"""A sparse autoencoder: linear, ReLU, linear, with an L1 penalty on the codes."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from diptych._progress import track
from diptych.estimators._items import checked_items
from diptych.ops import _checks

Array = NDArray[Any]


class SparseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes H = max(Z Eᵀ + b, 0) from which Z ≈ H D + c, Z being the z-scores of X.

    The loss of a batch of m items is the mean squared error over its m·d entries plus ``l1`` times
    the mean over its items of the sum of their codes,

        ‖Z − H D − c‖² / (m d) + l1 · Σ H / m.

    Adam minimises it, in float32; its learning rate rises linearly over the steps of the first
    ``warmup_epochs`` epochs and then stays. The decoder is not normalised. Columns without variance
    get z-score 0 and come back as their mean. Each epoch passes over the items in a new random
    order. The same seed gives the same result on the same machine with the same number of threads;
    torch's global generator is neither read nor changed.

    An epoch takes O(n d width) operations; memory is about three times that of X in float64.

    Args:
        width: Number of codes, at least 1; it may be above d.
        l1: Weight of the L1 penalty, at least 0.
        lr: Learning rate of Adam after the warm-up, above 0.
        epochs: Passes over the items, at least 1.
        warmup_epochs: Epochs of the linear warm-up, at least 0.
        batch_size: Items per step; min(n, batch_size) are used, and the last batch may be smaller.
        random_state: Seed of the weights and of the order of items.
        device: Where to train and encode, as torch writes it ("cpu", "cuda"); None is the CPU.
        progress: Show a progress bar on standard error once the fit has taken two seconds.

    Attributes:
        encoder_: (width, d) float32 E; encoder_bias_: (width,) b.
        decoder_: (width, d) float32 D; decoder_bias_: (d,) c.
        mean_: (d,) float64, mean of each feature.
        scale_: (d,) float64, standard deviation (divisor n) of each feature; 1 where there is none.
        loss_curve_: (epochs,) float64, mean loss of each epoch's batches, weighted by their size.
        n_iter_: Epochs made.
        n_features_in_: d.
        feature_names_in_: (d,) names, where X was a data frame with string columns.
    """

    def __init__(
        self,
        width: int,
        *,
        l1: float = 4e-4,
        lr: float = 1e-3,
        epochs: int = 500,
        warmup_epochs: int = 10,
        batch_size: int = 2000,
        random_state: int | RandomState | None = None,
        device: str | torch.device | None = None,
        progress: bool = True,
    ) -> None:
        self.width = width
        self.l1 = l1
        self.lr = lr
        self.epochs = epochs
        self.warmup_epochs = warmup_epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.device = device
        self.progress = progress

    def fit(self, X: object, y: None = None) -> Self:
        """Train on ``X``, an (n, d) array of float32 or float64; ``y`` is ignored.

        Raises:
            TypeError: A parameter has the wrong type, or ``X`` is sparse.
            ValueError: A parameter is out of range, or ``X`` is not a finite (n, d) array.
        """
        _checks.integer("width", self.width, 1)
        _checks.integer("epochs", self.epochs, 1)
        _checks.integer("warmup_epochs", self.warmup_epochs, 0)
        _checks.integer("batch_size", self.batch_size, 1)
        _checks.not_negative("l1", self.l1)
        _checks.positive("lr", self.lr)
        x = checked_items(self, X, reset=True)
        self.mean_, self.scale_ = _moments(x)
        z = self._standardised(x)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        generator = torch.Generator().manual_seed(int(seed))
        parameters = _initial_parameters(self.width, z.shape[1], generator, z.device)
        steps = self._train(z, parameters, generator)
        losses = [
            next(steps) for _ in track(range(self.epochs), "Training the autoencoder", shown=self.progress)
        ]
        self.encoder_, self.encoder_bias_, self.decoder_, self.decoder_bias_ = (
            parameter.detach().cpu().numpy() for parameter in parameters
        )
        self.loss_curve_ = np.array(losses)
        self.n_iter_ = self.epochs
        return self

    def transform(self, X: object) -> Array:
        """Return the (n, width) codes, at least 0, in the dtype of ``X``.

        Raises:
            sklearn.exceptions.NotFittedError: :meth:`fit` was not called.
            TypeError: ``X`` is sparse.
            ValueError: ``X`` is not a finite (n, d) array with the d of the fit.
        """
        check_is_fitted(self)
        x = checked_items(self, X, reset=False)
        codes = self._standardised(x).cpu().numpy() @ self.encoder_.T + self.encoder_bias_
        return np.maximum(codes, 0).astype(x.dtype)

    def inverse_transform(self, X: Array) -> Array:
        """Return the (n, d) reconstruction, in the units of the data, of (n, width) codes.

        Raises:
            sklearn.exceptions.NotFittedError: :meth:`fit` was not called.
            ValueError: The second dimension is not ``width``.
        """
        check_is_fitted(self)
        codes = np.asarray(X)
        if codes.ndim != 2 or codes.shape[1] != len(self.decoder_):
            raise ValueError(f"X: expected shape (n_samples, {len(self.decoder_)}), found {codes.shape}")
        z = codes @ self.decoder_ + self.decoder_bias_
        return (z * self.scale_ + self.mean_).astype(codes.dtype)

    def _standardised(self, x: Array) -> torch.Tensor:
        z = ((x - self.mean_) / self.scale_).astype(np.float32)
        return torch.from_numpy(z).to(self.device or "cpu")

    def _train(
        self, z: torch.Tensor, parameters: list[torch.Tensor], generator: torch.Generator
    ) -> Iterator[float]:
        """Train for ever, yielding the mean loss after each epoch."""
        n = len(z)
        batch_size = min(n, self.batch_size)
        warmup_steps = self.warmup_epochs * -(-n // batch_size)
        optimizer = torch.optim.Adam(parameters, lr=self.lr)
        step = 0
        while True:
            # One total on the device: reading each step's loss would make a GPU wait.
            total = torch.zeros((), device=z.device)
            for items in torch.randperm(n, generator=generator).to(z.device).split(batch_size):
                step += 1
                optimizer.param_groups[0]["lr"] = self.lr * min(1.0, step / max(1, warmup_steps))
                with torch.enable_grad():
                    loss = _loss(z[items], parameters, self.l1)
                    optimizer.zero_grad()
                    loss.backward()
                optimizer.step()
                total += loss.detach() * len(items)
            yield total.item() / n

    @property
    def _n_features_out(self) -> int:
        return len(self.encoder_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _moments(x: Array) -> tuple[Array, Array]:
    """Return each column's float64 mean and standard deviation, 1 where it has none to speak of."""
    peak = np.abs(x).max(axis=0).astype(np.float64)
    peak[peak == 0] = 1.0
    # At unit size no square overflows or vanishes.
    unit = x / peak
    mean = unit.mean(axis=0)
    unit -= mean
    deviation = np.sqrt(np.square(unit, out=unit).mean(axis=0))
    # A constant column's deviation is the rounding of its mean, at most about n·eps of its size.
    varies = deviation > len(x) * np.finfo(np.float64).eps
    return mean * peak, np.where(varies, deviation * peak, 1.0)


def _initial_parameters(
    width: int, d: int, generator: torch.Generator, device: torch.device
) -> list[torch.Tensor]:
    """Return encoder, bias, decoder, bias: uniform within 1/√fan-in, as torch.nn.Linear."""

    def uniform(*shape: int, fan_in: int) -> torch.Tensor:
        values = torch.rand(shape, generator=generator) * 2 - 1
        return (values / fan_in**0.5).to(device).requires_grad_()

    return [
        uniform(width, d, fan_in=d),
        uniform(width, fan_in=d),
        uniform(width, d, fan_in=width),
        uniform(d, fan_in=width),
    ]


def _loss(z: torch.Tensor, parameters: list[torch.Tensor], l1: float) -> torch.Tensor:
    encoder, encoder_bias, decoder, decoder_bias = parameters
    codes = torch.relu(z @ encoder.T + encoder_bias)
    error = torch.nn.functional.mse_loss(codes @ decoder + decoder_bias, z)
    return error + l1 * codes.sum() / len(z)
