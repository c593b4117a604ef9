"""Two image models side by side: what both are shown, and which images of which classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diptych._build import versions
from diptych.embed import Activations, ImageModel, ImageSet, PatchGrid, activations
from diptych.embed.activations import moved
from diptych.embed.checkpoints import weights_hash
from diptych.embed.layers import LOGITS, LayersLike
from diptych.rsvc.selection import (
    ClassImages,
    choose_images,
    members,
    names_apart,
    names_of_classes,
    predicted_classes,
    too_few,
    wanted_classes,
)


@dataclass(frozen=True)
class ModelPair:
    """Two models, the images they are shown, and how.

    Attributes:
        models: Network 1 and network 2.
        images: All images.
        options: Those of :func:`diptych.embed.activations` that are the same for all forward passes:
            batch_size, device, precision and workers.
        progress: Whether bars are shown.
    """

    models: tuple[ImageModel, ImageModel]
    images: ImageSet
    options: dict[str, Any]
    progress: bool

    @property
    def called(self) -> tuple[str, str]:
        """Names of the models, told apart where they are the same."""
        return names_apart(self.models[0].name, self.models[1].name)

    @property
    def device(self) -> torch.device:
        """Where to compare: where network 1 is shown images."""
        return moved(self.models[0], self.options["device"])

    def described(self) -> dict[str, Any]:
        """The models, the images and the precision, as JSON can hold them."""
        told: dict[str, Any] = {"diptych": versions()["diptych"]}
        for side, model in enumerate(self.models, start=1):
            told |= {
                f"model_{side}": model.name,
                f"weights_{side}": weights_hash(model.module),
                f"preprocessing_{side}": model.preprocess_name,
            }
        fingerprint = self.images.fingerprint(progress=self.progress)
        return told | {"images": fingerprint, "precision": self.options["precision"]}

    def show(
        self,
        side: int,
        images: ImageSet,
        layers: LayersLike,
        store: Path | None,
        *,
        proposals: PatchGrid | None = None,
        progress: bool | None = None,
    ) -> Activations:
        """The activations of one of the models, 0 or 1; a bar is shown as for the pair by default.

        Raises:
            ValueError: Patches are to be shown and an image cannot be read, though it was chosen because it
                could, and as :func:`diptych.embed.activations`.
        """
        found = activations(
            self.models[side],
            images,
            layers,
            proposals=proposals,
            store=store,
            progress=self.progress if progress is None else progress,
            **self.options,
        )
        if proposals is not None and len(found.unreadable):
            raise ValueError(f"images: some could be read before and cannot be now: {found.unreadable}")
        return found


@dataclass(frozen=True)
class Plan:
    """The classes of a run.

    Attributes:
        logits: What both networks take the images for.
        names: Of all logits.
        chosen: The classes that are compared, and their images.
        refused: Of the others, by number, how many images network 1 and network 2 take for them, and why they
            are not.
        silent: Number of classes that neither network predicts, where all are wanted.
    """

    logits: tuple[Activations, Activations]
    names: list[str]
    chosen: list[ClassImages]
    refused: dict[int, tuple[int, int, str]]
    silent: int

    @property
    def unreadable(self) -> dict[str, str]:
        """Why images could not be read, by id."""
        return self.logits[0].unreadable.reasons

    def notes(self) -> list[str]:
        """What a reader should know of the choice, in sentences."""
        if not self.silent:
            return []
        return [f"{self.silent} of {len(self.names)} classes are predicted by neither network."]


def planned(
    pair: ModelPair,
    classes: Sequence[int | str] | None,
    class_names: Sequence[str] | None,
    store: Path,
    *,
    extraction: int,
    evaluation: int,
    least: int,
    seed: int,
) -> Plan:
    """Find which images each network takes for which class, and share them out.

    Args:
        pair: The models and the images.
        classes: As :func:`diptych.rsvc.run` takes them; so ``class_names``.
        class_names: Names of the logits.
        store: Of the logits.
        extraction: As :func:`diptych.rsvc.selection.choose_images`; so the others.
        evaluation: Images of each network and class to measure on.
        least: Fewest images of a network and class.
        seed: Of the choice.

    Raises:
        TypeError: As :func:`diptych.rsvc.run`.
        ValueError: As :func:`diptych.rsvc.run`.
    """
    logits = pair.show(0, pair.images, LOGITS, store), pair.show(1, pair.images, LOGITS, store)
    predicted = predicted_classes(logits, len(pair.images), pair.called)
    names = names_of_classes(pair.images, logits[0][LOGITS].shape[1], class_names)
    chosen, refused = [], {}
    for number in wanted_classes(classes, predicted, names):
        of_class = members(predicted, number)
        reason = too_few(of_class, pair.called, least)
        if reason is not None:
            refused[number] = len(of_class[0]), len(of_class[1]), reason
            continue
        chosen.append(
            choose_images(
                of_class, number, extraction=extraction, evaluation=evaluation, least=least, seed=seed
            )
        )
    silent = 0 if classes is not None else len(names) - len(chosen) - len(refused)
    return Plan(logits, names, chosen, refused, silent)


def patch_grid(conventions: str) -> PatchGrid:
    """The patches of every image by the name of RSVC's conventions."""
    return PatchGrid(conventions="published-code" if conventions == "published-code" else "whole-image")
