"""Linear CKA from minibatches: for data and layers that do not fit into memory together."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.ops._precision import full_precision

#: One array, several, or several by name.
Layers = Array | Sequence[Array] | Mapping[str, Array]


class MinibatchCKA:
    """Debiased linear CKA between every layer of one model and every layer of another, batch by batch.

    CKA = mean_b HSIC_1(K_b, L_b) / sqrt(mean_b HSIC_1(K_b, K_b) mean_b HSIC_1(L_b, L_b)), where K_b and L_b
    are the Gram matrices of batch b and HSIC_1 is the unbiased estimator of Song et al. 2012 (Nguyen, Raghu &
    Kornblith 2021, eq. 3-4). Each mean is unbiased, so with the number of batches drawn the result converges
    to ``ops.linear_cka(x, y, debiased=True)`` of all items, whatever the batch size; one batch of all items
    gives exactly that. Batches must be drawn at random: those of a sorted data set are not alike.

    Use as a metric: ``update`` with the activations of each batch, ``compute`` at the end; ``merge`` joins
    the accumulators of several processes. ::

        similarity = ops.MinibatchCKA()
        for images in loader:
            similarity.update(activations_a(images), activations_b(images))
        matrix = similarity.compute()  # (layers of a, layers of b)

    Complexity: O(b² D + b² L_x L_y) time per batch of b items, D features and L layers in all, and O(b² L)
    memory in float64, whatever the number of batches.

    Attributes:
        batches: How many batches were taken in.
        names_x: The layers' names where mappings were given, else their numbers as strings.
        names_y: Those of the second model.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.batches = 0
        self.names_x: tuple[str, ...] = ()
        self.names_y: tuple[str, ...] = ()
        self._sums: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        self._returner = returner(torch.empty(0))

    def update(self, xs: Layers, ys: Layers | None = None, *, check: bool | None = None) -> None:
        """Take in one batch.

        Args:
            xs: Activations of the first model: an array (b, ...) per layer, as a list, a mapping from names,
                or one array alone. Further dimensions are flattened. Halves are computed in float32.
            ys: Activations of the second model on the same items; None for the first model itself.
            check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

        Raises:
            ValueError: Fewer than 4 items, layers that differ in items, number, names or device from
                each other or from the last batch, NaN or Inf.
            TypeError: Not arrays of real numbers.
        """
        names_x, grams_x, first = _centred_grams("xs", xs, check)
        names_y, grams_y, _ = (names_x, grams_x, first) if ys is None else _centred_grams("ys", ys, check)
        if grams_x.shape[1] != grams_y.shape[1]:
            sizes = (round(grams.shape[1] ** 0.5) for grams in (grams_x, grams_y))
            raise ValueError("xs and ys: expected the same items, found {} and {}".format(*sizes))
        _checks.same_device(xs=grams_x, ys=grams_y)
        if self._sums is None:
            self.names_x, self.names_y, self._returner = names_x, names_y, returner(first)
        for name, found, before in (("xs", names_x, self.names_x), ("ys", names_y, self.names_y)):
            if found != before:
                raise ValueError(f"{name}: expected the layers of the first batch, {before}, found {found}")
        sums = (grams_x @ grams_y.T, grams_x.square().sum(1), grams_y.square().sum(1))
        self._add(sums, 1)

    def merge(self, other: "MinibatchCKA") -> None:
        """Take in the batches of another accumulator, say of another process.

        Raises:
            ValueError: It is of other layers.
        """
        if other._sums is None:
            return
        if self._sums is None:
            self.names_x, self.names_y, self._returner = other.names_x, other.names_y, other._returner
        if (self.names_x, self.names_y) != (other.names_x, other.names_y):
            raise ValueError("other: expected an accumulator of the same layers")
        self._add(other._sums, other.batches)

    def compute(self) -> Array:
        """CKA of every pair of layers so far.

        Returns:
            (layers of xs, layers of ys) float64, of the kind of array that came first. Below 0 where
            the estimate is; NaN for a layer whose unbiased HSIC with itself is not positive, that is one
            without variance or, for too few batches, one of noise.

        Raises:
            ValueError: No batch was taken in.
        """
        if self._sums is None:
            raise ValueError("MinibatchCKA: expected at least one batch before compute(), found none")
        xy, xx, yy = self._sums
        return self._returner(xy / (xx.sqrt()[:, None] * yy.sqrt()))

    def _add(self, sums: tuple[torch.Tensor, torch.Tensor, torch.Tensor], batches: int) -> None:
        if self._sums is not None:
            mine = self._sums
            sums = (mine[0] + sums[0], mine[1] + sums[1], mine[2] + sums[2])
        self._sums = sums
        self.batches += batches


def minibatch_cka(
    x: Array,
    y: Array,
    *,
    batch_size: int = 256,
    epochs: int = 1,
    seed: int = 0,
    check: bool | None = None,
) -> float:
    """Debiased linear CKA of two stored representations, read batch by batch.

    :class:`MinibatchCKA` over random batches of rows: for arrays on disk (``numpy.memmap``) that do not fit
    into memory. For a fixed batch size its error shrinks with the square root of the number of batches.

    Args:
        x: (n, d_x) embeddings, numpy array (a memory map too) or torch tensor.
        y: (n, d_y) embeddings of the same items.
        batch_size: Items per batch, at least 4; the items that are left over after the last whole batch of
            an epoch are not used in it.
        epochs: Passes over the data, each in another order.
        seed: Of the orders.
        check: As in :meth:`MinibatchCKA.update`.

    Returns:
        The estimate of ``ops.linear_cka(x, y, debiased=True)``.

    Complexity:
        O(n b (d_x + d_y)) time per epoch for batches of b, O(b (d_x + d_y) + b²) memory.

    Raises:
        ValueError: Different numbers of items, fewer than four, an option out of range, NaN or Inf.
        TypeError: Not arrays of real numbers.
    """
    tensors = to_tensor("x", x), to_tensor("y", y)
    for name, tensor in zip("xy", tensors, strict=True):
        _checks.matrix(name, tensor)
    _checks.same_rows("x", tensors[0], "y", tensors[1])
    n = len(tensors[0])
    _checks.integer("batch_size", batch_size, 4)
    _checks.integer("epochs", epochs, 1)
    _checks.seed(seed)
    if n < 4:
        raise ValueError(f"x: expected at least 4 items, found {n}")
    batch_size = min(batch_size, n)
    random = np.random.default_rng(seed)
    similarity = MinibatchCKA()
    for _ in range(epochs):
        order = random.permutation(n)
        for start in range(0, n - batch_size + 1, batch_size):
            # In the order of the file: CKA does not depend on it, reading does.
            rows = torch.from_numpy(np.sort(order[start : start + batch_size])).to(tensors[0].device)
            similarity.update(tensors[0][rows], tensors[1][rows], check=check)
    return float(similarity.compute())


def _centred_grams(
    name: str, layers: Layers, check: bool | None
) -> tuple[tuple[str, ...], torch.Tensor, Array]:
    """The layers' names, their centred Gram matrices (layers, b²) in float64, and the first array."""
    if isinstance(layers, Mapping):
        names, arrays = tuple(map(str, layers)), list(layers.values())
    elif isinstance(layers, list | tuple):
        names, arrays = tuple(str(number) for number in range(len(layers))), list(layers)
    else:
        names, arrays = ("0",), [layers]
    if not arrays:
        raise ValueError(f"{name}: expected at least one layer, found none")
    grams: list[torch.Tensor] = []
    for layer, array in zip(names, arrays, strict=True):
        label = f"{name}[{layer}]"
        tensor = floating(to_tensor(label, array)).detach()
        if tensor.ndim < 2 or tensor.numel() == 0:
            raise ValueError(f"{label}: expected activations (b, ...), found shape {tuple(tensor.shape)}")
        if len(tensor) < 4:
            raise ValueError(f"{label}: expected at least 4 items in a batch, found {len(tensor)}")
        if tensor.device.type == "cpu" if check is None else check:
            _checks.finite(label, tensor)
        if grams and len(grams[0]) != len(tensor) ** 2:
            raise ValueError(f"{label}: expected {round(len(grams[0]) ** 0.5)} items, found {len(tensor)}")
        grams.append(_u_centred_gram(tensor.flatten(1)).flatten())
    return names, torch.stack(grams), arrays[0]


def _u_centred_gram(x: torch.Tensor) -> torch.Tensor:
    """The U-centred Gram matrix (b, b) of one layer, over sqrt(b (b - 3)), in float64.

    HSIC_1(K, L) is the sum of the products of two of these (Székely & Rizzo 2014, eq. 2.6 and prop. 1, for
    Gram matrices): one matrix product then serves all pairs of layers.
    """
    b = len(x)
    x = x - x.mean(0)  # changes nothing but the digits that are kept
    with full_precision(x.device):
        gram = (x @ x.T).double()
    gram.diagonal().zero_()
    rows = gram.sum(1) / (b - 2)
    gram -= rows + rows[:, None] - gram.sum() / ((b - 1) * (b - 2))
    gram.diagonal().zero_()
    return gram / (b * (b - 3)) ** 0.5
