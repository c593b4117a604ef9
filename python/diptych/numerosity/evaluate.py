"""A network and scenes in, what it makes of them out: embeddings, and the actions that it names."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._archive import read_archive, readable, write_archive
from diptych._progress import track
from diptych.numerosity.data import balanced, pair_up, scenes
from diptych.numerosity.laws import Renderer, amounts_of, described
from diptych.numerosity.models import NumberNet
from diptych.ops import _checks

if TYPE_CHECKING:
    import pandas

    from diptych.numerosity.results import NumberLine

_FORMAT = 1

#: Most objects in the scenes of actions that are named, unless it is told.
LIMIT = 8


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network made of scenes.

    Attributes:
        embeddings: (n, d) float32, one a scene.
        counts: (n,) int64 objects in each.
        covariates: (n rows) what grows with number, and might be seen in its stead; None where unknown.
        pairs: (p, 2) int64 scenes before and after an action; None, as the next two, without any.
        actions: (p,) int64 the true actions, numbered as in ``ACTIONS``.
        predicted: (p,) int64 the named ones.
        about: Which scenes of which network, as JSON can hold it.
    """

    embeddings: NDArray[np.float32]
    counts: NDArray[np.int64]
    covariates: "pandas.DataFrame | None"
    pairs: NDArray[np.int64] | None
    actions: NDArray[np.int64] | None
    predicted: NDArray[np.int64] | None
    about: dict[str, Any]

    @property
    def taught(self) -> int | None:
        """Most objects in the scenes that actions were learned from; None where that is not known."""
        trained_on = self.about.get("trained_on") or {}
        return self.about.get("taught", trained_on.get("limit"))

    @property
    def accuracy(self) -> float | None:
        """Share of the actions that were named rightly; None without any."""
        if self.actions is None or self.predicted is None:
            return None
        return float((self.actions == self.predicted).mean())

    def analyze(self, **options: Any) -> "NumberLine":
        """Look for the number line; options are those of :func:`diptych.numerosity.analyze`."""
        from diptych.numerosity.method import analyze

        return analyze(
            self.embeddings,
            self.counts,
            pairs=self.pairs,
            actions=self.actions,
            predicted=self.predicted,
            covariates=self.covariates,
            **options,
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all of it to an .npz, whole or not at all."""
        columns = None if self.covariates is None else list(self.covariates.columns)
        said = {"format": _FORMAT, "covariates": columns, "about": self.about}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.covariates is not None:
            arrays["covariates"] = self.covariates.to_numpy(np.float64)
        arrays = {name: array for name, array in arrays.items() if array is not None}
        return write_archive(path, "evaluation", said, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Evaluation":
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or holds something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file")
        with readable(str(path), "evaluation"):
            arrays, said = read_archive(Path(path), "evaluation", _FORMAT)
            covariates = None
            if said["covariates"] is not None:
                import pandas

                covariates = pandas.DataFrame(arrays.pop("covariates"), columns=said["covariates"])
            pairs, actions, predicted = (arrays.get(name) for name in _ARRAYS[2:])
            shown = arrays["embeddings"], arrays["counts"], covariates
            return cls(*shown, pairs, actions, predicted, said["about"])


_ARRAYS = ("embeddings", "counts", "pairs", "actions", "predicted")


def evaluate(
    net: NumberNet,
    dataset: str | Renderer = "B",
    *,
    highest: int = 30,
    each: int = 150,
    actions: int = 2000,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Evaluation:
    """Show a network scenes of every number, and have it name actions between them.

    Scenes are drawn anew for every action, so a sequence of actions needs no scenes of its own: each of its
    states is shown by a scene of that count, chosen at random (:func:`diptych.numerosity.pair_up`).

    Args:
        net: The network.
        dataset: Scenes, as :func:`diptych.numerosity.scenes` takes them.
        highest: Counts go from 0 to this.
        each: Scenes of each count.
        actions: Actions to name.
        limit: Most objects in a scene of these; 8 by default, or ``highest`` where that is less.
        seed: Of the scenes and the actions; whatever it is, none of these scenes was trained on.
        batch_size: Scenes of a forward pass.
        device: Where to compute; where the network is by default.
        progress: Show a bar on stderr.

    Raises:
        TypeError: No whole number where one is wanted.
        ValueError: A number out of range, ``limit`` above ``highest``, or an unknown data set.
    """
    check_sizes(highest=highest, actions=actions, batch_size=batch_size)
    _checks.integer("each", each, 2)
    limit = checked_limit(limit, highest)
    counts = balanced(highest, each)
    embeddings, covariates = embed_scenes(net, counts, dataset, seed, batch_size, device, progress)
    pairs, true = pair_up(counts, actions, limit, seed, amounts=amounts_of(dataset))
    before, after = (torch.from_numpy(embeddings[side]) for side in pairs.T)
    with torch.no_grad():
        named = net.classify(before.to(net.device), after.to(net.device)).argmax(1)
    about = {"dataset": described(dataset), "seed": seed, "limit": limit, "trained_on": net.schedule}
    return Evaluation(embeddings, counts, covariates, pairs, true, named.cpu().numpy(), about)


@torch.no_grad()
def embed_scenes(
    net: NumberNet,
    counts: NDArray[np.int64],
    dataset: str | Renderer = "B",
    seed: int = 0,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> tuple[NDArray[np.float32], "pandas.DataFrame"]:
    """Draw a scene of each count and embed it, a batch at a time.

    Args:
        net: The network; it is moved to ``device`` and put in evaluation mode.
        counts: (n,) objects in each scene.
        dataset: As :func:`diptych.numerosity.scenes` takes it.
        seed: Of the scenes.
        batch_size: Scenes of a forward pass.
        device: Where to compute; where the network is by default.
        progress: Show a bar on stderr.

    Returns:
        (n, d) embeddings and the scenes' covariates.
    """
    net = net.to(device).eval() if device is not None else net.eval()
    return embed_in_batches(
        lambda images: net.embed(images).cpu().numpy(),
        counts,
        dataset,
        seed,
        size=net.architecture.size,
        batch_size=batch_size,
        progress=progress,
        device=net.device,
    )


def embed_in_batches(
    embed: Callable[[torch.Tensor], NDArray[np.float32]],
    counts: NDArray[np.int64],
    dataset: str | Renderer,
    seed: int,
    *,
    size: int,
    batch_size: int,
    progress: bool,
    **drawing: Any,
) -> tuple[NDArray[np.float32], "pandas.DataFrame"]:
    """Draw a scene of each count, so many at once, and embed them by whatever does.

    Args:
        embed: From images (m, C, size, size) to embeddings (m, d).
        counts: (n,) objects in each scene.
        dataset: As :func:`diptych.numerosity.scenes` takes it; so ``size`` and ``seed``.
        seed: Of the scenes.
        size: Of the scenes in pixels.
        batch_size: Scenes drawn at once.
        progress: Show a bar on stderr.
        drawing: Further options of ``scenes``.

    Returns:
        (n, d) embeddings and the scenes' covariates.
    """
    import pandas

    embeddings, covariates = [], []
    for start in track(range(0, len(counts), batch_size), "embedding scenes", shown=progress):
        batch = counts[start : start + batch_size]
        drawn = scenes(batch, dataset, size, seed, first=start, **drawing)
        embeddings.append(embed(drawn.images))
        covariates.append(drawn.covariates)
    return np.concatenate(embeddings), pandas.concat(covariates, ignore_index=True)


def checked_limit(limit: int | None, highest: int) -> int:
    """The most objects in a scene of an action, no more than there are scenes of."""
    if limit is None:
        return min(LIMIT, highest)
    _checks.integer("limit", limit, 1, highest)
    return limit


def check_sizes(**numbers: int) -> None:
    """Demand whole numbers of at least one."""
    for name, value in numbers.items():
        _checks.integer(name, value, 1)
