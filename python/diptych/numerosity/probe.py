"""Any model or embedding in: does it have a number line?"""

import os
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.numerosity.data import balanced
from diptych.numerosity.evaluate import Evaluation, check_sizes, checked_limit, embed_in_batches, evaluate
from diptych.numerosity.inputs import count_vector, matrix
from diptych.numerosity.laws import Renderer, amounts_of, described
from diptych.numerosity.method import DEFAULT_REFERENCE
from diptych.numerosity.models import NumberNet
from diptych.numerosity.readout import TOO_FEW, name_actions
from diptych.numerosity.results import NumberLine
from diptych.ops._arrays import Array

if TYPE_CHECKING:
    from diptych.embed import ImageModel, StoredEmbedding

#: What can be probed: a network of ours, an image model or its name, embeddings or the file that they are in.
Source: TypeAlias = "NumberNet | ImageModel | StoredEmbedding | Array | str | os.PathLike[str]"

# Scenes drawn at once for an image model.
_BLOCK = 512


def probe(
    model_or_embeddings: Source,
    counts: Array | None = None,
    *,
    reference: int | None = DEFAULT_REFERENCE,
    min_cluster_size: int = 90,
    name: str = "",
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> NumberLine:
    """Look for a number line in a layer of any image model, or in any embedding of scenes.

    :func:`respond`, and :func:`diptych.numerosity.analyze` of what it gives.

    Args:
        model_or_embeddings: A :class:`NumberNet`, an image model or its name, embeddings or their file.
        counts: (n,) objects in each scene of embeddings; for models they are made.
        reference: Count that others are compared to for the Weber fraction.
        min_cluster_size: Items of the smallest island.
        name: What is probed, for titles.
        seed: Of scenes, actions and the analysis.
        progress: Show bars on stderr.
        options: Of :func:`respond`: the scenes, the layer, the actions.

    Returns:
        The number line. Of embeddings whose counts have fewer than four scenes of 0 and of 1 it says
        nothing of actions.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: What :func:`respond` or :func:`diptych.numerosity.analyze` refuses.
        TypeError: Neither a model nor embeddings.
    """
    found = respond(model_or_embeddings, counts, seed=seed, progress=progress, **options)
    chosen = {"reference": reference, "min_cluster_size": min_cluster_size, "seed": seed}
    return found.analyze(**chosen, name=name, progress=progress)


def respond(
    model_or_embeddings: Source,
    counts: Array | None = None,
    *,
    layer: str = "embedding",
    dataset: str | Renderer = "B",
    highest: int = 30,
    each: int = 150,
    size: int = 244,
    taught: int = 3,
    limit: int | None = None,
    actions: int = 2000,
    seed: int = 0,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Evaluation:
    """Show scenes to a model, or take embeddings of some, and have actions between them named.

    An image model is shown scenes of 0 to ``highest`` objects. A :class:`NumberNet` names actions itself; for
    any other network, and for embeddings, a linear classifier is taught the actions among few objects and
    names those among more (:func:`diptych.numerosity.readout.name_actions`).

    Args:
        model_or_embeddings: A :class:`NumberNet`; a model of :func:`diptych.embed.load_model`, or a name that
            it takes ("timm:resnet18"); or embeddings (n, d): an array, a stored one, or the path of a
            .npy, .npz or .pt file, of a .safetensors file, or of a folder of shards.
        counts: (n,) objects in each scene of the embeddings; for models they are made.
        layer: Of an image model: a module path, "logits" or "embedding".
        dataset: Scenes that models are shown, as :func:`diptych.numerosity.scenes` takes them.
        highest: Their counts go from 0 to this.
        each: Scenes of each count.
        size: Height and width of the scenes that an image model is shown, before its own preprocessing.
        taught: Most objects in the scenes of the actions that are taught; a NumberNet is taught none.
        limit: Most objects in the scenes of the actions that are named; 8 by default, or as far as there are
            scenes.
        actions: How many.
        seed: Of scenes, actions and the analysis.
        batch_size: Scenes of a forward pass.
        device: Where to compute; where the model is by default.
        progress: Show bars on stderr.

    Returns:
        What :func:`diptych.numerosity.analyze` takes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Embeddings without counts, a model with them, a layer that is not there, numbers out of
            range, too few scenes to name actions with.
        TypeError: Neither a model nor embeddings.
    """
    from diptych.embed import ImageModel, load_model

    source: Any = model_or_embeddings
    if isinstance(source, str) and source.startswith("timm:"):
        source = load_model(source)
    drawn: dict[str, Any] = {"highest": highest, "each": each, "seed": seed, "batch_size": batch_size}
    drawn |= {"device": device, "progress": progress}
    if isinstance(source, NumberNet | ImageModel) and counts is not None:
        raise ValueError("counts: expected none beside a model, whose scenes are made here")
    if isinstance(source, NumberNet):
        if layer != "embedding":
            raise ValueError(
                f"layer: expected 'embedding', all that a NumberNet is asked for, found {layer!r}"
            )
        return evaluate(source, dataset, actions=actions, limit=limit, **drawn)
    reading = {"taught": taught, "actions": actions, "seed": seed}
    if isinstance(source, ImageModel):
        check_sizes(highest=highest, each=each, batch_size=batch_size, actions=actions)
        reading["limit"] = checked_limit(limit, highest)
        shown = _shown(source, layer, dataset, size, drawn)
        return _with_actions(*shown, reading, amounts_of(dataset))
    if counts is None:
        raise ValueError("counts: expected the number of objects in each scene of the embeddings, found none")
    embeddings = _matrix(source)
    numbers = count_vector("counts", counts, len(embeddings))
    reach = _reach(numbers)
    reading["limit"] = checked_limit(limit, reach) if reach >= 1 else 0
    about = {"embeddings": str(source) if isinstance(source, str | os.PathLike) else "array"}
    return _with_actions(embeddings, numbers, None, about, reading)


def _with_actions(
    embeddings: NDArray[np.float32],
    counts: NDArray[np.int64],
    covariates: Any,
    about: dict[str, Any],
    reading: dict[str, int],
    amounts: tuple[int, int] = (1, 1),
) -> Evaluation:
    pairs = actions = predicted = None
    if reading["limit"] >= 1:
        pairs, actions, predicted = name_actions(embeddings, counts, **reading, amounts=amounts)
        about = {**about, "taught": reading["taught"]}
    return Evaluation(embeddings, counts, covariates, pairs, actions, predicted, about)


def _reach(counts: NDArray[np.int64]) -> int:
    """The largest count up to which there are items of each to teach and to name actions with."""
    found = np.bincount(counts) >= TOO_FEW
    return int(np.argmin(np.append(found, False))) - 1


def _matrix(source: Any) -> NDArray[np.float32]:
    from diptych.embed import StoredEmbedding, load_embedding

    if isinstance(source, str | os.PathLike):
        source = load_embedding(source)
    elif isinstance(source, StoredEmbedding):
        source = source.read()
    return matrix("model_or_embeddings", source).astype(np.float32)


def _shown(
    model: "ImageModel", layer: str, dataset: str | Renderer, size: int, drawn: dict[str, Any]
) -> tuple[NDArray[np.float32], NDArray[np.int64], Any, dict[str, Any]]:
    """Embeddings, counts, covariates and description of scenes shown to an image model."""
    from diptych.embed import activations

    def embed(images: torch.Tensor) -> NDArray[np.float32]:
        options = {"batch_size": drawn["batch_size"], "device": drawn["device"], "progress": False}
        return activations(model, images.movedim(1, -1), layer, **options)[layer]

    counts = balanced(drawn["highest"], drawn["each"])
    shown = {"size": size, "batch_size": _BLOCK, "progress": drawn["progress"], "dtype": torch.uint8}
    embeddings, covariates = embed_in_batches(embed, counts, dataset, drawn["seed"], **shown)
    about = {
        "model": model.name,
        "layer": layer,
        "dataset": described(dataset),
        "seed": drawn["seed"],
    }
    return embeddings, counts, covariates, about
