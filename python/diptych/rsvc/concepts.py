"""Concepts of a network: a few directions of which its activations are non-negative combinations.

concepts = extract(activations, k=10)                  # (n, d) patches of one class
concepts.coefficients @ concepts.basis                 # ≈ activations
refit(other_activations, concepts.basis)               # the same concepts in other patches
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.exceptions import ConvergenceWarning

from diptych import ops
from diptych.estimators import Factors, factorize_many
from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor

METHODS = ("auto", "nmf", "semi_nmf")

#: As many as :func:`diptych.ops.nnls` takes.
MAX_CONCEPTS = 256

# Most iterations, and the fall of the error per iteration, relative to the first error, that ends them.
_MAX_ITER, _TOL = 500, 1e-5


@dataclass(frozen=True, eq=False)
class Concepts:
    """The concepts found in some activations.

    Attributes:
        coefficients: (n, k), at least 0: how strongly each concept is in each patch.
        basis: (k, d): the concepts' directions, each of Euclidean length 1, ordered by the length of their
            column of coefficients, longest first. At least 0 where the method is ``"nmf"``.
        error: ‖A − U W‖ / ‖A‖ (Frobenius), 0 to 1.
        method: ``"nmf"`` or ``"semi_nmf"``.
        seed: Of the factorisation.
    """

    coefficients: Array
    basis: Array
    error: float
    method: str
    seed: int

    @property
    def dead(self) -> tuple[int, ...]:
        """The concepts that no patch has: all their coefficients are 0."""
        silent = (to_tensor("coefficients", self.coefficients) == 0).all(0)
        return tuple(silent.nonzero()[:, 0].tolist())


def extract(activations: Array, k: int = 10, method: str = "auto", seed: int = 0) -> Concepts:
    """Find k concepts of which the activations are non-negative combinations.

    A ≈ U W with coefficients U >= 0 (thesis sec. 3.3; Fel et al., "CRAFT", CVPR 2023): NMF for activations
    that are at least 0, as after a ReLU, semi-NMF for signed ones.

    Args:
        activations: (n, d) activations of patches, numpy, torch or cupy.
        k: Concepts, 1 to 256 and at most n.
        method: ``"nmf"``, ``"semi_nmf"``, or ``"auto"``: NMF where no activation is below 0.
        seed: Of the start of the factorisation.

    Returns:
        :class:`Concepts` with arrays of the kind of ``activations``, on its device, float32 or float64.
        A ``ConvergenceWarning`` tells where 500 iterations did not settle the error.

    Complexity:
        O(n d k) time per iteration, of which some fifty are usual; memory three times the activations.

    Raises:
        ValueError: Not a matrix, NaN or Inf, all patches alike, k above n or out of range, negative
            activations given to ``"nmf"``.
        TypeError: Not an array of real numbers, k or seed no integer.
    """
    tensor = _checked("activations", activations, k, method, seed)
    return _extracted([activations], [tensor], k, method, seed)[0]


def extract_many(
    activations: Sequence[Array], k: int = 10, method: str = "auto", seed: int = 0
) -> list[Concepts]:
    """:func:`extract` for many classes in one call: on a GPU, and where they are small, worked on together.

    Args:
        activations: (n_i, d) activations of each class; sizes, devices and dtypes may differ.
        k: Concepts per class.
        method: As :func:`extract`; ``"auto"`` chooses for each class.
        seed: Of every class.

    Returns:
        One :class:`Concepts` per class, each but for rounding what :func:`extract` finds of it alone.

    Raises:
        ValueError: As :func:`extract`, naming the class.
        TypeError: As :func:`extract`.
    """
    tensors = [_checked(f"activations[{i}]", each, k, method, seed) for i, each in enumerate(activations)]
    return _extracted(activations, tensors, k, method, seed)


def refit(activations: Array, basis: Array) -> Array:
    """Coefficients of known concepts in other patches: the u >= 0 that minimise |a − u W| of each.

    An exact solve by :func:`diptych.ops.nnls`, whatever the signs of the basis. Refitting the activations
    that concepts were extracted from gives their coefficients.

    Args:
        activations: (n, d).
        basis: (k, d), k <= 256; a concept of zeros gets coefficients 0.

    Returns:
        (n, k) in the wider dtype of the two.

    Complexity:
        As :func:`diptych.ops.nnls`.

    Raises:
        ValueError: Not matrices, d differs, k above 256, NaN or Inf.
        TypeError: Not an array of real numbers.
    """
    tensors = []
    for name, array in (("activations", activations), ("basis", basis)):
        tensor = floating(to_tensor(name, array)).detach()
        _checks.matrix(name, tensor)
        _checks.finite(name, tensor)
        tensors.append(tensor)
    _checks.same_columns("activations", tensors[0], "basis", tensors[1])
    _checks.same_device(activations=tensors[0], basis=tensors[1])
    if len(tensors[1]) > MAX_CONCEPTS:
        raise ValueError(f"basis: expected at most {MAX_CONCEPTS} concepts, found {len(tensors[1])}")
    return returner(activations)(ops.nnls(tensors[0], tensors[1], check=True))


def _checked(name: str, activations: Array, k: int, method: str, seed: int) -> torch.Tensor:
    _checks.one_of("method", method, METHODS)
    _checks.seed(seed)
    _checks.integer("k", k, 1, MAX_CONCEPTS)
    tensor = floating(to_tensor(name, activations)).detach()
    _checks.matrix(name, tensor)
    _checks.finite(name, tensor)
    if k > len(tensor):
        raise ValueError(f"k: expected at most {len(tensor)}, the number of patches in {name}, found {k}")
    if bool((tensor == tensor[0]).all()):
        raise ValueError(f"{name}: all patches have the same activations, there are no concepts to find")
    if method == "nmf" and bool(tensor.min() < 0):
        row, column = (tensor < 0).nonzero()[0].tolist()
        raise ValueError(
            f"{name}: method 'nmf' expects numbers of at least 0, found {tensor[row, column].item():.4g} in "
            f"row {row}, column {column}; 'semi_nmf' takes them"
        )
    return tensor


def _extracted(
    arrays: Sequence[Array], tensors: Sequence[torch.Tensor], k: int, method: str, seed: int
) -> list[Concepts]:
    # At unit scale no product overflows; both factorisations commute with the scale.
    scales = [tensor.abs().max() for tensor in tensors]
    scaled = [tensor / scale for tensor, scale in zip(tensors, scales, strict=True)]
    if method == "auto":
        methods = ["semi_nmf" if bool(tensor.min() < 0) else "nmf" for tensor in tensors]
    else:
        methods = [method] * len(tensors)
    results: dict[int, Concepts] = {}
    unsettled = 0
    for name in METHODS[1:]:
        members = [i for i, each in enumerate(methods) if each == name]
        factors = factorize_many(
            [scaled[i] for i in members],
            k,
            signed=name == "semi_nmf",
            max_iter=_MAX_ITER,
            tol=_TOL,
            seed=seed,
        )
        unsettled += sum(not each.converged for each in factors)
        for i, found in zip(members, factors, strict=True):
            results[i] = _concepts(scaled[i], scales[i], found, name, seed, arrays[i])
    if unsettled:
        warnings.warn(
            f"the error of {unsettled} of {len(tensors)} factorisations had not settled after "
            f"{_MAX_ITER} iterations",
            ConvergenceWarning,
            stacklevel=3,
        )
    return [results[i] for i in range(len(tensors))]


def _concepts(
    scaled: torch.Tensor, scale: torch.Tensor, found: Factors, method: str, seed: int, like: Array
) -> Concepts:
    """Bring concepts to unit length and into order, and measure the error."""
    lengths = torch.linalg.vector_norm(found.components, dim=1)
    coefficients = found.coefficients * lengths
    order = torch.linalg.vector_norm(coefficients, dim=0).argsort(descending=True, stable=True)
    basis = (found.components / torch.where(lengths > 0, lengths, 1)[:, None])[order]
    coefficients = coefficients[:, order]
    residual = torch.linalg.vector_norm(scaled - coefficients @ basis)
    error = float(residual / torch.linalg.vector_norm(scaled))
    give_back = returner(like)
    return Concepts(give_back(coefficients * scale), give_back(basis), error, method, int(seed))
