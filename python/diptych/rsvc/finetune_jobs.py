"""Carrying out a fine-tuning: both ways of training, and the folder that a stopped one goes on from."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._build import versions
from diptych._checkpoint import Checkpoint, digest, unless_refused
from diptych._progress import Stages
from diptych.embed import Activations, ImageModel, ImageSet, activations, check_images
from diptych.embed.activations import Precision, moved
from diptych.embed.checkpoints import weights_hash
from diptych.embed.finetuning import TRAINING, Epoch, Recipe, train_network
from diptych.embed.layers import EMBEDDING, LOGITS
from diptych.embed.linear_classifier import LinearClassifier, fit_linear_classifier
from diptych.embed.reading import reader_threads
from diptych.ops import _checks
from diptych.rsvc.finetuned import FINETUNED, Finetuned

#: What errors call a job, and the folder of embeddings in its own.
KIND, STORE = "fine-tuning", "activations"


@dataclass(frozen=True)
class FrozenRecipe:
    """How a classifier is fitted to the embeddings of a frozen backbone.

    Attributes:
        epochs: At most so many iterations of L-BFGS.
        weight_decay: Weight of the squared norm.
        label_smoothing: Share of each label's weight that is spread over all classes, below 1.

    Raises:
        TypeError: No number.
        ValueError: A number out of range.
    """

    epochs: int
    weight_decay: float
    label_smoothing: float

    def __post_init__(self) -> None:
        _checks.integer("epochs", self.epochs, 1)
        _checks.not_negative("weight_decay", self.weight_decay)
        _checks.not_negative("label_smoothing", self.label_smoothing)
        if self.label_smoothing >= 1:
            raise ValueError(f"label_smoothing: expected a share below 1, found {self.label_smoothing}")


@dataclass(frozen=True)
class Job:
    """What is trained on what, and how.

    Attributes:
        network: The model as it was given.
        made: Its copy with a new classifier, which is trained.
        images: The images of the chosen classes.
        held: Those for validation, if there are any.
        names: Names of the logits.
        recipe: How all weights, or the classifier of a frozen backbone, are trained.
        device: Where; where the model is by default.
        precision: Of the forward passes.
        batch_size: Images of a forward pass.
        workers: Threads that read images.
        progress: Show progress bars.
    """

    network: ImageModel
    made: ImageModel
    images: ImageSet
    held: ImageSet | None
    names: tuple[str, ...]
    recipe: Recipe | FrozenRecipe
    device: str | torch.device | None
    precision: Precision
    batch_size: int
    workers: int | None
    progress: bool

    def described(self) -> dict[str, Any]:
        """All that the result depends on, as JSON can hold it."""
        if self.network.preprocess_name is None:
            raise ValueError(
                f"preprocess_name: out needs words for the preprocessing of {self.network.name}, whose own "
                f"{self.network.preprocess!r} changes from run to run; say them to load_model"
            )
        told = {
            "diptych": versions()["diptych"],
            "job": KIND,
            "model": self.network.name,
            "weights": weights_hash(self.network.module),
            "preprocessing": self.network.preprocess_name,
            "classifier": self.network.classifier,
            "frozen": isinstance(self.recipe, FrozenRecipe),
            "precision": self.precision,
            "classes": self.names,
            "validation": None,
            "validation_labels": None,
        }
        for name, images in (("images", self.images), ("validation", self.held)):
            if images is not None:
                told[name] = images.fingerprint(progress=self.progress)
                told["labels" if name == "images" else "validation_labels"] = digest(
                    {"labels": [] if images.labels is None else images.labels.tolist()}
                )
        options = asdict(self.recipe).items()
        return told | {name: x.item() if isinstance(x, np.generic) else x for name, x in options}

    def run(self, saved: Checkpoint | None = None) -> Finetuned:
        """Train."""
        moved(self.made, self.device)
        if isinstance(self.recipe, FrozenRecipe):
            found = _fitted(self, self.recipe, None if saved is None else saved.folder / STORE)
        else:
            found = _trained(self, self.recipe, saved)
        self.made.module.eval()
        return found

    def show(self, model: ImageModel, images: ImageSet, layer: str, **options: Any) -> Activations:
        """What a layer puts out for images."""
        return activations(
            model,
            images,
            layer,
            batch_size=self.batch_size,
            device=self.device,
            precision=self.precision,
            workers=self.workers,
            **options,
        )


def run_in_folder(job: Job, folder: Path, resume: bool) -> Finetuned:
    """Train, keep what is finished in a folder and the result at the end; or take it from there."""
    with unless_refused(folder):
        saved = Checkpoint(folder, job.described(), {}, resume=resume, kind=KIND)
        if (folder / FINETUNED).is_file():
            if isinstance(job.recipe, Recipe):
                job.made.module.float()
            moved(job.made, job.device)
            return Finetuned.load(folder, job.made)
        found = job.run(saved)
    found = found.save(folder)
    saved.remove(TRAINING)
    return found


def _trained(job: Job, recipe: Recipe, saved: Checkpoint | None) -> Finetuned:
    """Train all weights."""
    job.made.module.float()
    images, unreadable = check_images(job.images, progress=job.progress)
    labels = _demand_labels("images", images.labels, images.ids)
    held, skipped = (None, None) if job.held is None else check_images(job.held, progress=job.progress)
    wanted = None if held is None else _demand_labels("validation", held.labels, held.ids)

    def validate() -> float:
        if held is None or wanted is None:
            return math.nan
        shown = job.show(job.made, held, LOGITS, progress=False)
        return float((shown.predicted() == wanted).mean())

    history = train_network(
        job.made,
        images,
        labels,
        recipe,
        precision=job.precision,
        workers=reader_threads(job.workers),
        validate=validate,
        saved=saved,
        progress=job.progress,
    )
    return Finetuned(job.made, job.names, tuple(history), unreadable, skipped)


def _fitted(job: Job, recipe: FrozenRecipe, store: Path | None) -> Finetuned:
    """Fit the classifier to the embeddings."""
    showing = {"store": store, "progress": job.progress}
    shown = job.show(job.network, job.images, EMBEDDING, **showing)
    features, labels = _on_device(job, shown, "images")
    held = None if job.held is None else job.show(job.network, job.held, EMBEDDING, **showing)
    others = None if held is None else _on_device(job, held, "validation")
    history: list[Epoch] = []

    def note(found: LinearClassifier, loss: float) -> None:
        right = math.nan
        if others is not None:
            right = float((found.predict(others[0]) == others[1]).double().mean())
        history.append(Epoch(len(history) + 1, loss, right))
        bar.advance(1 / recipe.epochs)

    with Stages({"fitting the classifier": 1.0}, enabled=job.progress) as bar:
        bar.enter("fitting the classifier")
        found = fit_linear_classifier(
            features,
            labels,
            len(job.names),
            penalty=recipe.weight_decay,
            label_smoothing=recipe.label_smoothing,
            iterations=recipe.epochs,
            after_iteration=note,
        )
    head = job.made.head()
    with torch.no_grad():
        head.weight.copy_(found.weight)
        head.bias.copy_(found.bias)
    skipped = None if held is None else held.unreadable
    return Finetuned(job.made, job.names, tuple(history), shown.unreadable, skipped)


def _on_device(job: Job, shown: Activations, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings and labels of the images that could be read, where the classifier is."""
    labels = _demand_labels(name, shown.labels, shown.ids)
    device = job.made.head().weight.device
    # A copy, for torch wants memory that it may write to.
    return torch.tensor(shown[EMBEDDING], device=device), torch.tensor(labels, device=device)


def _demand_labels(name: str, labels: NDArray[np.int64] | None, ids: NDArray[Any]) -> NDArray[np.int64]:
    """The labels of images that could be read, which all must have one; of at least two classes."""
    assert labels is not None
    if labels.min() < 0:
        item = int(labels.argmin())
        raise ValueError(f"{name}: expected labels of at least 0, found {labels[item]} of {ids[item]}")
    if name == "images" and labels.min() == labels.max():
        raise ValueError(
            f"images: expected at least 2 classes among those that can be read, found {labels[0]} alone"
        )
    return labels
