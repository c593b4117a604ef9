"""Two image models in, their embeddings of the same images out, ready to be compared (thesis sec. 4.5.4)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.embed import Activations, ImageModel, Unreadable, activations, load_model, open_images
from diptych.embed.activations import Precision
from diptych.embed.images import ImageSet, ImagesLike
from diptych.embed.layers import EMBEDDING, one_layer
from diptych.embed.pooling import Pooling
from diptych.rdx.aligned import compare_aligned
from diptych.rdx.class_groups import IMAGES_PER_CLASS, ClassGroup, choose
from diptych.rdx.method import compare
from diptych.rdx.results import RDXResult

#: Pairs of models that the study compares (thesis Table 4.5), by name. timm's own list lacks the last, whose
#: weights are on the Hugging Face Hub.
PRESETS: Mapping[str, tuple[str, str]] = {
    "dino-dinov2": ("timm:vit_base_patch16_224.dino", "timm:vit_base_patch14_reg4_dinov2.lvd142m"),
    "clip-inat": (
        "timm:vit_large_patch14_clip_336.openai",
        "timm:hf-hub:timm/vit_large_patch14_clip_336.laion2b_ft_in12k_in1k_inat21",
    ),
}

#: Sensitivity of the difference that suits large image models (thesis sec. 4.5.4).
GAMMA = 0.05


@dataclass(frozen=True, eq=False)
class ImagePair:
    """The embeddings of the same images by two models; made by :func:`image_pair`.

    Attributes:
        a: (n, d_a) float32.
        b: (n, d_b) float32.
        ids: (n,) str, the images.
        labels: (n,) names of their classes, or None.
        files: The n files, or None where the images are no files.
        names: How the models are called.
        unreadable: The images that were skipped.
        item_names: What a report calls the n images, with their credit; None where the ids say all.
        notes: What was left out before models saw the images, in sentences.
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    ids: NDArray[Any]
    labels: list[str] | None
    files: list[Path] | None
    names: tuple[str, str]
    unreadable: Unreadable
    item_names: list[str] | None = None
    notes: tuple[str, ...] = ()

    def compare(self, *, gamma: float = GAMMA, **options: Any) -> RDXResult:
        """Compare them by :func:`diptych.rdx.compare`, all of whose options it takes.

        Raises:
            ValueError: As :func:`diptych.rdx.compare`.
            TypeError: As :func:`diptych.rdx.compare`.
        """
        result = compare(self.a, self.b, gamma=gamma, ids=(self.ids, None), **options)
        result.names = self.names
        return result

    def compare_aligned(
        self, aligns: str | Sequence[str] = ("none", "a_to_b"), *, gamma: float = GAMMA, **options: Any
    ) -> dict[str, RDXResult]:
        """Compare them as they are and aligned by :func:`diptych.rdx.compare_aligned`.

        Args:
            aligns: Which of "none", "a_to_b" and "b_to_a", or "all".
            gamma: Sensitivity of the difference.
            **options: All others of :func:`diptych.rdx.compare`.

        Returns:
            The results by alignment, in this order.

        Raises:
            ValueError: As :func:`diptych.rdx.compare_aligned`.
            TypeError: As :func:`diptych.rdx.compare`.
        """
        found = compare_aligned(self.a, self.b, aligns=aligns, gamma=gamma, ids=(self.ids, None), **options)
        for result in found.values():
            result.names = self.names
        return found


def image_pair(
    model_a: ImageModel | str,
    model_b: ImageModel | str,
    images: ImagesLike,
    *,
    classes: str | ClassGroup | Sequence[str] | None = None,
    images_per_class: int | None = None,
    seed: int = 0,
    layer_a: str = EMBEDDING,
    layer_b: str = EMBEDDING,
    pooling: Pooling = "auto",
    batch_size: int = 64,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    store: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> ImagePair:
    """Show the same images to two models and keep what they make of them.

    Args:
        model_a: From :func:`diptych.embed.load_model`, or a name that it takes.
        model_b: The other. Each has its own preprocessing and input size.
        images: As :func:`diptych.embed.open_images` takes them.
        classes: Show them images of these classes alone: a group of the study or its name
            (:data:`diptych.rdx.CLASS_GROUPS`), or names of classes, as :func:`diptych.rdx.choose` takes them.
        images_per_class: So many of each class, chosen at random; 500 of given classes by default.
        seed: Of that choice.
        layer_a: Layer of model A: "embedding" is what enters the classifier (the pooled map, or the class
            token), or any module path.
        layer_b: The same of model B.
        pooling: Of other layers, as :func:`diptych.embed.activations`; not "patches".
        batch_size: Images in a forward pass.
        device: Where to compute; where the models are by default.
        precision: Of the forward passes.
        store: Folder of a store of activations, so that nothing is computed twice; None for memory.
        workers: Threads that read images.
        progress: Show progress bars.

    Returns:
        The embeddings. Images that cannot be read are skipped, and told.

    Complexity:
        A forward pass of every image by each model.

    Raises:
        FileNotFoundError: There is no such folder.
        TypeError: As :func:`diptych.embed.activations` and :func:`diptych.rdx.choose`.
        ValueError: As these, a set of layers, "patches".
    """
    if pooling == "patches":
        raise ValueError("pooling: expected one embedding per image, found 'patches'")
    source = chosen_images(open_images(images), classes, images_per_class, seed)
    models = [load_model(each) if isinstance(each, str) else each for each in (model_a, model_b)]
    layers = [
        one_layer(model, layer, name)
        for model, layer, name in zip(models, (layer_a, layer_b), ("layer_a", "layer_b"), strict=True)
    ]
    found: list[Activations] = [
        activations(
            model,
            source,
            layer,
            pooling=pooling,
            batch_size=batch_size,
            device=device,
            precision=precision,
            store=store,
            workers=workers,
            progress=progress,
        )
        for model, layer in zip(models, layers, strict=True)
    ]
    first, second = found
    both = np.intersect1d(first.indices, second.indices)
    read, labels = source.take(both), None
    if read.labels is not None:
        labels = [str(each) if read.classes is None else read.classes[each] for each in read.labels.tolist()]
    called = models[0].name, models[1].name
    if called[0] == called[1]:
        called = f"{called[0]} {layers[0]} (A)", f"{called[1]} {layers[1]} (B)"
    return ImagePair(
        a=first[layers[0]][np.isin(first.indices, both)],
        b=second[layers[1]][np.isin(second.indices, both)],
        ids=read.ids,
        labels=labels,
        files=read.files,
        names=called,
        unreadable=first.unreadable,
        item_names=None if read.names is None else read.names.tolist(),
        notes=read.notes,
    )


def chosen_images(
    images: ImageSet,
    classes: str | ClassGroup | Sequence[str] | None,
    images_per_class: int | None,
    seed: int,
) -> ImageSet:
    """All images where nothing is chosen; see :func:`image_pair`."""
    if classes is None and images_per_class is None:
        return images
    wanted = (images.classes or ()) if classes is None else classes
    per_class = IMAGES_PER_CLASS if images_per_class is None else images_per_class
    return choose(images, wanted, per_class=per_class, seed=seed)
