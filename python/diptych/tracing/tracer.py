"""A tracer: a trained model that follows learners while they learn."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from diptych._files import atomic_path
from diptych._text import some
from diptych.ops import _checks
from diptych.tracing.batches import pad
from diptych.tracing.extractor import Extractor, ResNet18, inputs_of, made, resized
from diptych.tracing.fingerprint import begun_as
from diptych.tracing.models import MODELS, State, Step, TracingModel
from diptych.tracing.schedule import Epoch
from diptych.tracing.sequences import Sequences

_FORMAT = 1
_META = "diptych.tracing"
# Learners whose answers are predicted at once.
_AT_ONCE = 64


class Tracer:
    """A trained model, and what it knows of the learners that it follows.

    One learner or several side by side: each call is about the learner who was started last, unless it names
    another. A learner's knowledge moves on with :meth:`update` alone; in a test, where no feedback is given,
    nothing is updated and any number of images can be asked about.

    Args:
        name: Of the model in ``MODELS``.
        options: The model was made with.
        model: The model.
        extractor: What makes features of images.
        classes: Names of the C classes.
        about: Where it comes from, as JSON can hold it.
        history: What each epoch of its training came to.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        model: TracingModel,
        extractor: Extractor,
        classes: tuple[str, ...],
        about: Mapping[str, Any] | None = None,
        history: tuple[Epoch, ...] = (),
    ) -> None:
        self.name, self.options, self.classes = name, dict(options), classes
        self.model, self.extractor = model.eval(), extractor.eval()
        self.about, self.history = dict(about or {}), history
        self._states: dict[str, State] = {}
        self._held: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._last: str | None = None

    @property
    def learners(self) -> tuple[str, ...]:
        """Who is followed, in the order in which they were started."""
        return tuple(self._states)

    def start(self, learner: str = "learner") -> None:
        """Follow a learner who has seen nothing yet; one who is followed already begins anew."""
        with torch.no_grad():
            self._moved(learner, self.model.start(1))
        self._last = learner

    def state(self, learner: str | None = None) -> State:
        """What the model knows of a learner, as the state of one, by default who was started last.

        Raises:
            KeyError: The learner was never started.
        """
        return self._states[self._who(learner)]

    @torch.no_grad()
    def update(
        self,
        image: ArrayLike,
        label: int | str,
        response: int | str,
        *,
        learner: str | None = None,
        seconds: float | None = None,
        embedded: bool = False,
    ) -> None:
        """Take note of a training step: the learner answered, and was told the true class.

        Args:
            image: What was shown: known features (D,), or pixels (h, w, 3) uint8, or a file's path, as the
                tracer was trained with.
            label: Its true class, by number or name.
            response: The class that was answered, by number or name.
            learner: Who, by default who was started last.
            seconds: How long it took; unknown by default. Models trained without response times ignore it.
            embedded: ``image`` is a row of what :meth:`embed` gave.

        Raises:
            KeyError: The learner was never started.
            ValueError: No such class, or an image that the tracer cannot take.
        """
        who = self._who(learner)
        one = torch.as_tensor(np.asarray(image))[None] if embedded else self._embedded(_one(image))
        if len(one) != 1:
            raise ValueError(f"image: expected one image, found {len(one)}")
        true = torch.tensor([self._class("label", label)])
        answered = torch.tensor([self._class("response", response)])
        if seconds is not None:
            _checks.not_negative("seconds", seconds)
        step = Step(self._checked(one), true, answered, torch.tensor([seconds or 0.0]))
        self._moved(who, self.model.advance(self._states[who], step))

    @torch.no_grad()
    def predict(
        self,
        images: Any,
        labels: ArrayLike | None = None,
        *,
        learner: str | None = None,
        embedded: bool = False,
    ) -> NDArray[np.float32]:
        """How the learner would answer each of many images, if it came next.

        Args:
            images: m images: known features (m, D), or pixels (m, h, w, 3) uint8, or files, as the tracer was
                trained with.
            labels: (m,) int64 their true classes. Models that are told the class of an image before its
                answer give without it the mean over the classes, each taken to be as likely as another:
                a guess at images of which no more is known.
            learner: Who, by default who was started last.
            embedded: ``images`` are what :meth:`embed` gave: candidates that are asked about again and
                again need no more be embedded each time.

        Returns:
            (m, C) probabilities.

        Complexity:
            One matrix product of m x d by d x (C or C²) for models with linear classifiers, which are
            computed once for each state.

        Raises:
            KeyError: The learner was never started.
            ValueError: Images that the tracer cannot take; labels of another number, or outside the classes.
        """
        who = self._who(learner)
        features = torch.as_tensor(np.asarray(images)) if embedded else self._embedded(images)
        features = self._checked(features)
        true = None if labels is None else self._labels(labels, len(features))
        if self.model.linear:
            return self._by_classifiers(who, features, true)
        if true is not None or not self.model.labelled:
            return self._answers(who, features, torch.zeros(len(features)).long() if true is None else true)
        of_each = [self._answers(who, features, torch.full((len(features),), y)) for y in self._numbers]
        return np.mean(of_each, 0)

    def embed(self, images: Any) -> NDArray[np.float32]:
        """(m, d) features of images, given as to :meth:`predict`, for ``predict(..., embedded=True)``."""
        return self._embedded(images).numpy()

    @torch.no_grad()
    def classifier(
        self, label: int | str | None = None, *, learner: str | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The linear classifier that the learner is taken to hold, of features as :meth:`embed` gives them.

        Args:
            label: The class of the next image, which some models are told; by default the mean of their
                classifiers over the classes.
            learner: Who, by default who was started last.

        Returns:
            W (C, d) and b (C,): the answers have the probabilities softmax(W z + b).

        Raises:
            KeyError: The learner was never started.
            TypeError: The model has no linear classifier.
            ValueError: No such class.
        """
        weights, offsets = (each[0] for each in self.model.classifiers(self._states[self._who(learner)]))
        if label is None or len(weights) == 1:
            if label is not None:
                self._class("label", label)
            return weights.mean(0).numpy(), offsets.mean(0).numpy()
        which = self._class("label", label)
        return weights[which].numpy(), offsets[which].numpy()

    @torch.no_grad()
    def probabilities(self, sequences: Sequences, progress: bool = False) -> NDArray[np.float32]:
        """(n, C) probabilities of all answers of sequences, each from what came before it.

        Learners are followed as in training: their tests with the state that the training left.

        Raises:
            ValueError: Other classes, or images that the tracer cannot take.
        """
        self.check_classes(sequences)
        features = self.extractor.embed(inputs_of(sequences, self.extractor, progress))
        padded, found = pad(sequences), []
        for learners in torch.arange(len(padded)).split(_AT_ONCE):
            part = padded.of(learners)
            found.append(self.model(part.batch(features))[part.shown])
        return torch.cat(found).exp().numpy()

    def check_classes(self, sequences: Sequences) -> None:
        """Demand sequences of the classes that the tracer knows, by name and in their order.

        Raises:
            ValueError: Others, or in another order, in which a class's number would mean another one.
        """
        if tuple(sequences.classes) != tuple(self.classes):
            raise ValueError(
                f"sequences: expected the {len(self.classes)} classes {some(self.classes)} of the tracer in "
                f"this order, found {len(sequences.classes)}, {some(sequences.classes)}; "
                "tracing.load(..., classes=tracer.classes) puts them in order"
            )

    def seen(self, sequences: Sequences) -> NDArray[np.bool_]:
        """(L,) which learners it was trained or selected with, be it that they have answered more since."""
        return begun_as(sequences, self.about.get("learners", ()))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write weights and description to a .safetensors file, whole or not at all; not who is followed."""
        said = {
            "format": _FORMAT,
            "model": self.name,
            "options": self.options,
            "extractor": self.extractor.described(),
            "classes": self.classes,
            "about": self.about,
            "history": [asdict(each) for each in self.history],
        }
        parts = {"model": self.model, "extractor": self.extractor}
        state = {
            f"{part}.{name}": each.detach().cpu().clone(memory_format=torch.contiguous_format)
            for part, module in parts.items()
            for name, each in module.state_dict().items()
        }
        with atomic_path(path) as temporary:
            save_file(state, temporary, {_META: json.dumps(said)})
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Tracer":
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or holds something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            with safe_open(path, framework="pt") as file:
                said = json.loads((file.metadata() or {})[_META])
            if said["format"] > _FORMAT:
                raise ValueError(f"it has format {said['format']}, this version reads {_FORMAT}")
            extractor, classes = made(**said["extractor"]), tuple(said["classes"])
            model = MODELS[said["model"]](len(classes), extractor.dimension, **said["options"])
            state = load_file(path)
            for part, module in {"model": model, "extractor": extractor}.items():
                own = {
                    name.removeprefix(f"{part}."): each
                    for name, each in state.items()
                    if name.startswith(f"{part}.")
                }
                module.load_state_dict(own)
            history = tuple(Epoch(**each) for each in said["history"])
            return cls(said["model"], said["options"], model, extractor, classes, said["about"], history)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{path}: not a saved tracer: {error}") from error

    @property
    def _numbers(self) -> range:
        return range(len(self.classes))

    def _who(self, learner: str | None) -> str:
        who = self._last if learner is None else learner
        if who is None or who not in self._states:
            followed = some(list(self._states)) if self._states else "nobody"
            raise KeyError(f"learner: expected one who was started, {followed}, found {learner!r}")
        return who

    def _moved(self, learner: str, state: State) -> None:
        self._states[learner] = state
        self._held.pop(learner, None)

    def _class(self, name: str, value: int | str) -> int:
        if isinstance(value, str):
            _checks.one_of(name, value, self.classes)
            return self.classes.index(value)
        _checks.integer(name, value, 0, len(self.classes) - 1)
        return int(value)

    def _labels(self, labels: ArrayLike, count: int) -> torch.Tensor:
        true = np.asarray(labels)
        if true.shape != (count,) or true.dtype.kind not in "iu":
            raise ValueError(
                f"labels: expected {count} whole numbers, one per image, "
                f"found shape {true.shape} of {true.dtype}"
            )
        low, high = true.min(initial=0), true.max(initial=0)
        if low < 0 or high >= len(self.classes):
            raise ValueError(f"labels: expected 0 to {len(self.classes) - 1}, found {low} to {high}")
        return torch.from_numpy(true.astype(np.int64))

    def _embedded(self, images: Any) -> torch.Tensor:
        if isinstance(self.extractor, ResNet18):
            return self.extractor.embed(resized(images, self.extractor.size))
        known = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        width = self.extractor.described()["inputs"]
        if known.ndim != 2 or known.shape[1] != width:
            raise ValueError(f"images: expected features (m, {width}), found shape {tuple(known.shape)}")
        return self.extractor.embed(known)

    def _checked(self, features: torch.Tensor) -> torch.Tensor:
        width = self.extractor.dimension
        if features.ndim != 2 or features.shape[1] != width:
            raise ValueError(f"images: expected features (m, {width}), found shape {tuple(features.shape)}")
        # One of them, and a learner's state would never be a number again.
        _checks.finite("images", features)
        return features.float()

    def _answers(self, who: str, features: torch.Tensor, labels: torch.Tensor) -> NDArray[np.float32]:
        return self.model.respond(self._states[who], features[None], labels[None])[0].exp().numpy()

    def _by_classifiers(
        self, who: str, features: torch.Tensor, labels: torch.Tensor | None
    ) -> NDArray[np.float32]:
        if who not in self._held:
            weights, offsets = self.model.classifiers(self._states[who])
            self._held[who] = weights[0].flatten(0, 1).contiguous(), offsets[0].flatten()[:, None]
        weights, offsets = self._held[who]
        # Images last: classes are few, and what runs over images is what a processor does many of at once.
        scores = torch.addmm(offsets, weights, features.T).unflatten(0, (-1, len(self.classes)))
        chances = scores.softmax(1)
        if len(chances) == 1:
            return chances[0].T.numpy()
        if labels is None:
            return chances.mean(0).T.numpy()
        return chances[labels, :, torch.arange(len(labels))].numpy()


def _one(image: Any) -> Any:
    """One image as several are given."""
    return [image] if isinstance(image, str | os.PathLike) else np.asarray(image)[None]
