"""The concepts of many layers of one network on the patches of one class."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.rsvc.concepts import extract_many, refit


def layer_coefficients(
    layers: Sequence[torch.Tensor], own: torch.Tensor, k: int, seed: int
) -> tuple[list[torch.Tensor], NDArray[np.float64]]:
    """Extract the concepts of each layer from some of the patches, and find them in all.

    A layer whose own patches all have the same activations has no concepts. Its coefficients are zeros, which
    :func:`diptych.rsvc.layerwise` takes for dead concepts: undefined, not dissimilar.

    Args:
        layers: (n, d_i) activations of each layer on the same n patches.
        own: (n,) bool, those that concepts are extracted from.
        k: Concepts of each layer.
        seed: Of the extraction.

    Returns:
        (n, k) coefficients of each layer, and (L,) errors ‖A − U W‖ / ‖A‖ of the extraction, NaN of layers
        without concepts.

    Complexity:
        As :func:`diptych.rsvc.extract_many`; memory twice the layers' beside them.

    Raises:
        ValueError: As :func:`diptych.rsvc.extract_many`.
    """
    rows = [layer[own] for layer in layers]
    varied = [i for i, each in enumerate(rows) if not bool((each == each[0]).all())]
    concepts = extract_many([rows[i] for i in varied], k, seed=seed)
    coefficients = [layer.new_zeros(len(layer), k) for layer in layers]
    errors = np.full(len(layers), np.nan)
    for i, found in zip(varied, concepts, strict=True):
        coefficients[i], errors[i] = refit(layers[i], found.basis), found.error
    return coefficients, errors
