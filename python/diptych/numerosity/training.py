"""The action task as lightning trains it: batches, losses, what is kept after each epoch."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader, IterableDataset
from torchmetrics.classification import MulticlassAccuracy

from diptych._lightning import History, SafeCheckpointIO, finite, run
from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.data import sequences
from diptych.numerosity.models import Architecture, NumberNet
from diptych.numerosity.schedule import BEST, Epoch, Precision, Schedule

Batch = tuple[torch.Tensor, torch.Tensor]

# Sequences of validation are drawn from the far end of the streams, which training never reaches.
_VALIDATION_STREAM = 1 << 38


#: What is to fall.
WATCHED = "validation_loss"


class Sequences(IterableDataset[Batch]):
    """Sequences of actions, each a batch that depends on the seed and its number alone.

    Args:
        schedule: What they are like.
        size: Of the scenes, in pixels.
        first: Number of the first.
        step: From one to the next; so processes share them.
        count: How many.
        device: Where scenes are drawn.
    """

    def __init__(
        self, schedule: Schedule, size: int, first: int, step: int, count: int, device: torch.device
    ) -> None:
        self._schedule, self._size, self._device = schedule, size, device
        self._numbers = range(first, first + step * count, step)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Batch]:
        schedule = self._schedule
        for number in self._numbers:
            drawn = sequences(
                schedule.pairs,
                schedule.limit,
                schedule.dataset,
                schedule.seed,
                size=self._size,
                stream=number,
                device=self._device,
            )
            yield drawn.images, drawn.actions.to(self._device)


class ActionTask(lightning.LightningModule):
    """A network that learns to name actions.

    Args:
        net: The network.
        schedule: How it learns.
        validation: Sequences of a validation.
    """

    def __init__(self, net: NumberNet, schedule: Schedule, validation: int) -> None:
        super().__init__()
        self.net, self.schedule, self.validation = net, schedule, validation
        self.accuracy = torch.nn.ModuleDict(
            {kind: MulticlassAccuracy(len(ACTIONS), average="micro") for kind in ("fit", "validation")}
        )

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """The loss of a sequence.

        Raises:
            FloatingPointError: It is not finite.
        """
        return finite(self._loss(batch, "fit"), self)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Measure a sequence that is not learned from."""
        self._loss(batch, "validation")

    def _loss(self, batch: Batch, kind: str) -> torch.Tensor:
        scenes, actions = batch
        named = self.net(scenes)
        loss = torch.nn.functional.nll_loss(named, actions)
        self.accuracy[kind](named, actions)
        logged: dict[str, Any] = {f"{kind}_loss": loss, f"{kind}_accuracy": self.accuracy[kind]}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(actions), sync_dist=True)
        return loss

    def train_dataloader(self) -> DataLoader[Batch]:
        """The sequences of the coming epoch."""
        before = self.current_epoch * self.schedule.batches * self.trainer.world_size
        return self._loader(before, self.schedule.batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The same sequences after every epoch."""
        return self._loader(_VALIDATION_STREAM, self.validation)

    def _loader(self, first: int, count: int) -> DataLoader[Batch]:
        ranks, rank = self.trainer.world_size, self.trainer.global_rank
        drawn = Sequences(
            self.schedule,
            self.net.architecture.size,
            first + rank,
            ranks,
            count,
            self.trainer.strategy.root_device,
        )
        return DataLoader(drawn, batch_size=None)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam on what is not frozen."""
        learned = [each for each in self.net.parameters() if each.requires_grad]
        return torch.optim.Adam(learned, lr=self.schedule.learning_rate)


@dataclass(frozen=True)
class Plan:
    """A training with all that it depends on.

    Attributes:
        architecture: Of the network.
        schedule: What it sees, how it learns.
        validation: Sequences of a validation.
        patience: Epochs to wait for a lower loss; None to do them all.
        device: What lightning calls the accelerator.
        devices: How many.
        precision: Of the convolutions.
        progress: Whether a bar is shown.
    """

    architecture: Architecture
    schedule: Schedule
    validation: int
    patience: int | None
    device: str
    devices: int
    precision: Precision
    progress: bool

    def job(self) -> dict[str, Any]:
        """What the weights depend on, as JSON can hold it."""
        return {
            **asdict(self.architecture),
            **self.schedule.described(),
            "validation": self.validation,
            "patience": self.patience,
            "devices": self.devices,
            "precision": self.precision,
        }

    def fit(self, folder: Path) -> NumberNet:
        """Train, from the last epoch whose state the folder holds.

        Raises:
            FloatingPointError: A loss that is not finite.
            ValueError: A damaged checkpoint.
        """
        net = NumberNet(self.architecture)
        task = ActionTask(net, self.schedule, self.validation)
        history = History(Epoch, ("fit_loss", "fit_accuracy", "validation_loss", "validation_accuracy"))
        best = ModelCheckpoint(
            folder,
            Path(BEST).stem,
            monitor=WATCHED,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        waiting = [] if self.patience is None else [EarlyStopping(WATCHED, patience=self.patience), best]
        run(
            task,
            [history, *waiting],
            epochs=self.schedule.epochs,
            folder=folder,
            device=self.device,
            progress=self.progress,
            devices=self.devices,
            precision=self.precision,
            # Each epoch's sequences are others.
            reload_dataloaders_every_n_epochs=1,
        )
        if self.patience is not None:
            task.load_state_dict(SafeCheckpointIO().load_checkpoint(best.best_model_path)["state_dict"])
        net.schedule, net.history = self.schedule.described(), tuple(history.epochs)
        return net.cpu().eval()
