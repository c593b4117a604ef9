"""What a comparison of one class is given, and its checks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, to_tensor
from diptych.rsvc.regression import image_folds, image_names


@dataclass(frozen=True, eq=False)
class ClassPatches:
    """The activations of two networks on patches of the images of one class.

    Attributes:
        acts_1: (n, d1) activations of network 1 on the training patches, of 5 to 200 images.
        acts_2: (n, d2) of network 2 on the same patches.
        groups: (n,) integers or strings, the image each patch is of; None: every patch is an image.
        eval_acts_1: (m, d1) of network 1 on the patches of other images, on which similarity is measured.
        eval_acts_2: (m, d2) of network 2 on the same patches.
        eval_groups: (m,) the image each of these is of.
        rows_1: (n,) bool, the patches that network 1's concepts are extracted from: those of images that
            network 1 itself takes for the class. None: all.
        rows_2: (n,) bool, the same for network 2.
        target: The class' number in the heads' logits, or a pair, one for each head.
        labels: (m,) the right class of each evaluation patch (of each training patch where no others are
            given), for the accuracy of the replacement test.
    """

    acts_1: Array
    acts_2: Array
    groups: Array | None = None
    eval_acts_1: Array | None = None
    eval_acts_2: Array | None = None
    eval_groups: Array | None = None
    rows_1: Array | None = None
    rows_2: Array | None = None
    target: int | tuple[int, int] | None = None
    labels: Array | None = None

    @property
    def targets(self) -> tuple[int | None, int | None]:
        """The class' number in each head's logits."""
        return self.target if isinstance(self.target, tuple) else (self.target, self.target)


@dataclass(frozen=True, eq=False)
class CheckedPatches:
    """As :class:`ClassPatches`, as tensors that fit together; pairs hold one entry for each network."""

    training: tuple[torch.Tensor, torch.Tensor]
    evaluation: tuple[torch.Tensor, torch.Tensor] | None
    own: tuple[torch.Tensor, torch.Tensor]  #: activations that concepts are extracted from
    targets: tuple[int | None, int | None]
    groups: Array | None
    eval_groups: NDArray[Any]  #: of the evaluation patches, or of the training patches if there are none
    labels: Array | None


def checked(patches: ClassPatches, k: int, method: str, folds: int) -> CheckedPatches:
    """Check everything that extraction, regression and similarity will need, by the caller's names.

    Raises:
        ValueError: As :func:`diptych.rsvc.compare`.
        TypeError: As :func:`diptych.rsvc.compare`.
    """
    training = _pair("acts_1", patches.acts_1, "acts_2", patches.acts_2)
    n = len(training[0])
    image_folds(patches.groups, n, folds)
    own = tuple(
        _own(training[side], side + 1, rows, k, method)
        for side, rows in enumerate((patches.rows_1, patches.rows_2))
    )
    evaluation = None
    if (patches.eval_acts_1 is None) != (patches.eval_acts_2 is None):
        given, missing = (1, 2) if patches.eval_acts_2 is None else (2, 1)
        raise ValueError(
            f"eval_acts_{missing}: expected the evaluation patches of both networks or of none, found those "
            f"of network {given} alone"
        )
    if patches.eval_acts_1 is not None:
        evaluation = _pair("eval_acts_1", patches.eval_acts_1, "eval_acts_2", patches.eval_acts_2)
        for side in (0, 1):
            _checks.same_columns(
                f"acts_{side + 1}", training[side], f"eval_acts_{side + 1}", evaluation[side]
            )
        if len(evaluation[0]) < 2:
            raise ValueError("eval_acts_1: expected at least 2 patches to correlate, found 1")
        names = _names("eval_groups", patches.eval_groups, len(evaluation[0]))
    elif patches.eval_groups is not None:
        raise ValueError("eval_groups: expected with eval_acts_1 and eval_acts_2 alone, found without")
    else:
        names = _names("groups", patches.groups, n)
    return CheckedPatches(
        training, evaluation, (own[0], own[1]), patches.targets, patches.groups, names, patches.labels
    )


def _pair(name_1: str, acts_1: Array, name_2: str, acts_2: Array) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (
        floating(to_tensor(name, acts).detach()) for name, acts in ((name_1, acts_1), (name_2, acts_2))
    )
    for name, tensor in ((name_1, first), (name_2, second)):
        _checks.matrix(name, tensor)
        _checks.squarable(name, tensor)
    _checks.same_rows(name_1, first, name_2, second)
    _checks.same_device(**{name_1: first, name_2: second})
    return first, second


def _own(acts: torch.Tensor, network: int, rows: Array | None, k: int, method: str) -> torch.Tensor:
    """The patches that a network's concepts are extracted from."""
    if rows is not None:
        chosen = to_tensor(f"rows_{network}", rows)
        if chosen.dtype != torch.bool:
            raise TypeError(f"rows_{network}: expected bool, found {chosen.dtype}")
        if chosen.shape != (len(acts),):
            raise ValueError(f"rows_{network}: expected shape ({len(acts)},), found {tuple(chosen.shape)}")
        acts = acts[chosen.to(acts.device)]
        if len(acts) == 0:
            raise ValueError(f"rows_{network}: network {network} has no patch to extract concepts from")
    if k > len(acts):
        raise ValueError(
            f"k: expected at most {len(acts)}, the number of patches to extract network {network}'s "
            f"concepts from, found {k}"
        )
    if bool((acts == acts[0]).all()):
        raise ValueError(
            f"acts_{network}: all patches have the same activations, there are no concepts to find"
        )
    if method == "nmf" and bool(acts.min() < 0):
        raise ValueError(
            f"acts_{network}: method 'nmf' expects numbers of at least 0, found {acts.min().item():.4g}; "
            "'semi_nmf' takes them"
        )
    return acts


def _names(name: str, groups: Array | None, n: int) -> NDArray[Any]:
    return np.arange(n) if groups is None else image_names(name, groups, n)
