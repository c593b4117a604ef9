"""A tracing model as lightning trains it: batches of learners, losses, what is kept after each epoch."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping

from diptych._lightning import History, finite, run
from diptych.tracing.batches import Padded, pad
from diptych.tracing.extractor import Extractor
from diptych.tracing.models.model import Batch, TracingModel
from diptych.tracing.schedule import Epoch, Schedule
from diptych.tracing.sequences import Sequences
from diptych.tracing.splits import Split

#: What is to fall.
WATCHED = "validation_loss"

# Learners of a validation whose answers are predicted at once.
_AT_ONCE = 64


class Learners:
    """Learners in batches, in an order of its own in each epoch, which depends on nothing else.

    Args:
        padded: All of them.
        numbers: Which of them.
        size: Of a batch.
        seed: Of the orders; None leaves the learners as they are.
    """

    def __init__(self, padded: Padded, numbers: torch.Tensor, size: int, seed: int | None) -> None:
        self._padded, self._numbers, self._size, self._seed = padded, numbers, size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self._numbers) // self._size)

    def __iter__(self) -> Iterator[Padded]:
        numbers = self._numbers
        if self._seed is not None:
            # Generators of neighbouring seeds begin alike; the seed draws those of the epochs.
            seeds = torch.randint(
                2**62, (self.epoch + 1,), generator=torch.Generator().manual_seed(self._seed)
            )
            order = torch.Generator().manual_seed(int(seeds[self.epoch]))
            numbers = numbers[torch.randperm(len(numbers), generator=order)]
        for batch in numbers.split(self._size):
            yield self._padded.of(batch)


class TracingTask(lightning.LightningModule):
    """A model that learns how learners answer, on features that may be learned with it.

    Args:
        model: Of the learners.
        extractor: Of the features.
        inputs: (m, ...) what it takes of all images.
        padded: All learners' steps.
        split: Who is learned from, and who tells when to stop.
        schedule: How it learns.
    """

    def __init__(
        self,
        model: TracingModel,
        extractor: Extractor,
        inputs: torch.Tensor,
        padded: Padded,
        split: Split,
        schedule: Schedule,
    ) -> None:
        super().__init__()
        self.model, self.extractor, self.schedule = model, extractor, schedule
        self._inputs = inputs
        # Features that nothing is learned in are made once for all.
        self.features: torch.Tensor | None
        self.register_buffer(
            "features", None if extractor.learned else extractor.embed(inputs), persistent=False
        )
        train, validation = (torch.from_numpy(part) for part in (split.train, split.validation))
        self._train = Learners(padded, train, schedule.batch_size, schedule.seed)
        self._validation = Learners(padded, validation, _AT_ONCE, None)
        self._sums = {"fit": torch.zeros(2), WATCHED: torch.zeros(2)}

    def batch(self, padded: Padded) -> Batch:
        """Sequences with the features of their images, each of which is embedded once."""
        if self.features is not None:
            return padded.batch(self.features)
        numbers, places = padded.images()
        features = self.extractor(self._inputs[numbers.to(self._inputs.device)].to(self.device))
        return padded.batch(features, places)

    def training_step(self, padded: Padded, _: int) -> torch.Tensor:
        """The loss of a batch of learners.

        Raises:
            FloatingPointError: It is not finite.
        """
        return finite(self._loss(padded, "fit"), self)

    def validation_step(self, padded: Padded, _: int) -> None:
        """Measure learners who are not learned from."""
        self._loss(padded, WATCHED)

    def on_train_epoch_start(self) -> None:
        """Begin the sums anew."""
        self._sums["fit"] = torch.zeros(2)

    def on_validation_epoch_start(self) -> None:
        """Begin the sums anew."""
        self._sums[WATCHED] = torch.zeros(2)

    def on_validation_epoch_end(self) -> None:
        """Tell what the epoch came to: once, for telling takes as long as a small step does."""
        means = {name: each[0] / each[1] for name, each in self._sums.items()}
        finite(means[WATCHED], self)
        self.log_dict({"fit_loss": means["fit"], WATCHED: means[WATCHED]})

    def train_dataloader(self) -> Learners:
        """The learners in the order of the coming epoch."""
        self._train.epoch = self.current_epoch
        return self._train

    def val_dataloader(self) -> Learners:
        """The same learners after every epoch."""
        return self._validation

    def transfer_batch_to_device(self, batch: Padded, device: torch.device, dataloader_idx: int) -> Padded:
        """As it is where it is there already."""
        return batch if device.type == "cpu" else batch.to(device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, with a rate of its own for the extractor."""
        rates = ((self.model, self.schedule.learning_rate), (self.extractor, self.schedule.extractor_rate))
        groups = [
            {"params": [each for each in part.parameters() if each.requires_grad], "lr": rate}
            for part, rate in rates
        ]
        return torch.optim.Adam([each for each in groups if each["params"]])

    def _loss(self, padded: Padded, kind: str) -> torch.Tensor:
        total, answers = loss_of(self.model, self.batch(padded))
        self._sums[kind] += torch.stack([total.detach(), answers]).cpu()
        return total / answers


def loss_of(model: TracingModel, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The negative log-likelihood of all answers of a batch in nats, and how many they are.

    Equation 2.6 is taken to be their ratio: the mean over all steps of all learners, training and test alike.
    """
    chosen = model(batch).gather(-1, batch.responses[..., None])[..., 0]
    return -torch.where(batch.shown, chosen, 0).sum(), batch.shown.sum().to(chosen.dtype)


class Best(Callback):
    """Keeps the weights of the epoch whose validation's loss is least, in checkpoints too."""

    def __init__(self) -> None:
        self.loss = float("inf")
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take them if they are better."""
        loss = float(trainer.callback_metrics[WATCHED])
        if loss < self.loss:
            self.loss = loss
            self.weights = {name: each.detach().clone() for name, each in pl_module.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.loss, self.weights = state_dict["loss"], state_dict["weights"]


@dataclass(frozen=True)
class Plan:
    """A training with all that it needs.

    Attributes:
        schedule: How the model learns.
        split: Who is learned from, and who tells when to stop.
        device: What lightning calls the accelerator.
        progress: Whether a bar is shown.
    """

    schedule: Schedule
    split: Split
    device: str
    progress: bool

    def fit(
        self,
        model: TracingModel,
        extractor: Extractor,
        inputs: torch.Tensor,
        sequences: Sequences,
        folder: Path | None,
    ) -> tuple[Epoch, ...]:
        """Train model and extractor in place, from the last epoch whose state the folder holds.

        They end as they were after the epoch whose validation's loss was least, in evaluation mode, on the
        CPU.

        Raises:
            FloatingPointError: A loss that is not finite.
            ValueError: A damaged checkpoint.
        """
        task = TracingTask(model, extractor, inputs, pad(sequences), self.split, self.schedule).train()
        history, best = History(Epoch, ("fit_loss", WATCHED)), Best()
        run(
            task,
            [history, best, EarlyStopping(WATCHED, patience=self.schedule.patience)],
            epochs=self.schedule.epochs,
            folder=folder,
            device=self.device,
            progress=self.progress,
            devices=1,
            reload_dataloaders_every_n_epochs=1,
        )
        task.load_state_dict(best.weights)
        task.cpu().eval()
        return tuple(history.epochs)

    def job(self) -> dict[str, Any]:
        """What the weights depend on, as JSON can hold it."""
        return {
            **asdict(self.schedule),
            **{part: each.tolist() for part, each in self.split._asdict().items()},
        }
