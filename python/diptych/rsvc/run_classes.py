"""The comparisons of a run, class by class: each is on disk before the next few begin."""

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from diptych._files import atomic_path
from diptych._progress import Stages
from diptych.embed import Activations
from diptych.rsvc.heads import Head
from diptych.rsvc.inputs import ClassPatches
from diptych.rsvc.method import compare_classes
from diptych.rsvc.results import Parameters, RSVCResult
from diptych.rsvc.run_result import class_file, refusal_file
from diptych.rsvc.selection import ClassImages, Indices, patch_rows

# Classes whose concepts are extracted together. Which those are does not depend on where a run was killed:
# in other company a result may differ by rounding.
_TOGETHER = 8


@dataclass(frozen=True)
class Patches:
    """The activations of both networks on the patches of all chosen images.

    Attributes:
        acts: Each network's, ``rows_per_image`` rows for each image.
        layers: The layer of each network.
        images: (m,) ascending indices of the images they are of.
        ids: (n,) ids of all images.
        labels: (n,) the class of each image in the numbers of the logits, or None.
        device: Where to compare.
    """

    acts: tuple[Activations, Activations]
    layers: tuple[str, str]
    images: Indices
    ids: np.ndarray
    labels: Indices | None
    device: torch.device

    def stores(self) -> tuple[Path, Path]:
        """The files of both networks' activations."""
        first, second = (acts.paths[layer] for acts, layer in zip(self.acts, self.layers, strict=True))
        return first, second

    def of(self, chosen: ClassImages) -> ClassPatches:
        """Load what a class is compared on."""
        per = self.acts[0].rows_per_image
        measured = chosen.evaluation if len(chosen.evaluation) else None
        evaluation = None if measured is None else self._rows(measured)
        labelled = chosen.training if measured is None else measured
        rows = tuple(torch.from_numpy(np.repeat(own, per)).to(self.device) for own in chosen.own)
        training = self._rows(chosen.training)
        return ClassPatches(
            acts_1=training[0],
            acts_2=training[1],
            groups=np.repeat(self.ids[chosen.training], per),
            eval_acts_1=None if evaluation is None else evaluation[0],
            eval_acts_2=None if evaluation is None else evaluation[1],
            eval_groups=None if measured is None else np.repeat(self.ids[measured], per),
            rows_1=rows[0],
            rows_2=rows[1],
            target=chosen.number,
            labels=None if self.labels is None else np.repeat(self.labels[labelled], per),
        )

    def _rows(self, images: Indices) -> tuple[torch.Tensor, torch.Tensor]:
        rows = patch_rows(images, self.images, self.acts[0].rows_per_image)
        first, second = (
            torch.from_numpy(np.ascontiguousarray(acts[layer][rows])).to(self.device)
            for acts, layer in zip(self.acts, self.layers, strict=True)
        )
        return first, second


def compare_all(
    chosen: Sequence[ClassImages],
    patches: Patches,
    heads: tuple[Head | None, Head | None],
    options: Parameters,
    called: tuple[str, str],
    folder: Path,
    *,
    progress: bool,
) -> None:
    """Compare every class that has no file yet, and write each result, or why there is none, as it is found.

    Classes are taken up in the same groups whatever is there: a group of which one is missing is compared
    again as a whole.
    """
    groups = [chosen[start : start + _TOGETHER] for start in range(0, len(chosen), _TOGETHER)]
    missing = [group for group in groups if not all(_is_done(folder, each.number) for each in group)]
    count = sum(map(len, missing))

    def refuse(number: Hashable, error: Exception) -> None:
        with atomic_path(refusal_file(folder, int(str(number)))) as temporary:
            temporary.write_text(json.dumps({"skipped": str(error)}))

    with Stages({"comparing classes": 1.0}, enabled=progress) as bar:
        bar.enter("comparing classes")
        for group in missing:
            found = compare_classes(
                {each.number: partial(patches.of, each) for each in group},
                k=options.k,
                head_1=heads[0],
                head_2=heads[1],
                method=options.method,
                alpha=options.alpha,
                folds=options.folds,
                conventions=options.conventions,
                seed=options.seed,
                batch=_TOGETHER,
                errors=refuse,
                progress=False,
            )
            for number, result in found:
                result.names = called
                path = class_file(folder, int(str(number)))
                if not path.exists():
                    result.save(path)
                bar.advance(1 / count)


def outcome(folder: Path, number: int) -> RSVCResult | str:
    """The result of a class, or why there is none.

    Raises:
        ValueError: The file is damaged; the message names it.
    """
    refusal = refusal_file(folder, number)
    if not refusal.exists():
        return RSVCResult.load(class_file(folder, number))
    try:
        return str(json.loads(refusal.read_text())["skipped"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{refusal}: damaged, remove it to have the class compared: {error}") from error


def _is_done(folder: Path, number: int) -> bool:
    return class_file(folder, number).exists() or refusal_file(folder, number).exists()
