"""The action task as lightning trains it: batches, losses, what is kept after each epoch."""

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, ProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import DataLoader, IterableDataset
from torchmetrics.classification import MulticlassAccuracy

from diptych._files import atomic_path
from diptych._progress import Stages
from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.data import sequences
from diptych.numerosity.models import Architecture, NumberNet
from diptych.numerosity.schedule import BEST, LAST, Epoch, Precision, Schedule

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
        loss = self._loss(batch, "fit")
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"loss: expected a finite one, found {loss.item()} in step {self.global_step + 1}"
            )
        return loss

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


class History(Callback):
    """Keeps what each epoch came to, in checkpoints too."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the epoch that ends."""
        said = trainer.callback_metrics
        names = ("fit_loss", "fit_accuracy", "validation_loss", "validation_accuracy")
        self.epochs.append(Epoch(trainer.current_epoch + 1, *(float(said[name]) for name in names)))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"epochs": [asdict(each) for each in self.epochs]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.epochs = [Epoch(**each) for each in state_dict["epochs"]]


class SafeCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole or not there, and that are read without unpickling anything but tensors."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write under a temporary name, then rename."""
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read tensors and plain values.

        Raises:
            ValueError: It is damaged, or holds something else.
        """
        try:
            # On the CPU whatever the map: the optimizer's state finds its way by itself.
            return dict(torch.load(Path(path), map_location="cpu", weights_only=True))
        except Exception as error:
            raise ValueError(
                f"{path}: a damaged checkpoint, remove it to begin anew: {type(error).__name__}"
            ) from error


class Progress(ProgressBar):
    """The house's bar over all steps of a training."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = True
        self._stages: Stages | None = None

    def disable(self) -> None:
        """Show nothing, as lightning asks of all processes but the first."""
        self._shown = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin where the training does."""
        super().on_train_start(trainer, pl_module)
        if self._shown:
            self._stages = Stages({"training": 1.0}).__enter__()
            self._stages.enter("training")
            self._stages.advance(trainer.current_epoch / (trainer.max_epochs or 1))

    def on_train_batch_end(self, trainer: lightning.Trainer, *rest: Any) -> None:
        """A step more."""
        if self._stages is not None:
            self._stages.advance(1 / (self.total_train_batches * (trainer.max_epochs or 1)))

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Take the bar away, also when the training failed."""
        if self._stages is not None:
            self._stages.__exit__(None, None, None)
            self._stages = None


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
        task, history = ActionTask(net, self.schedule, self.validation), History()
        last = ModelCheckpoint(
            folder, Path(LAST).stem, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
        )
        best = ModelCheckpoint(
            folder,
            Path(BEST).stem,
            monitor=WATCHED,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        callbacks: list[Callback] = [history, last]
        if self.progress:
            callbacks.append(Progress())
        if self.patience is not None:
            callbacks += [EarlyStopping(WATCHED, patience=self.patience), best]
        with _quiet(), _interrupted_as_usual():
            trainer = lightning.Trainer(
                accelerator=self.device,
                devices=self.devices,
                precision=self.precision,
                max_epochs=self.schedule.epochs,
                callbacks=callbacks,
                plugins=[SafeCheckpointIO()],
                # Each epoch's sequences are others.
                reload_dataloaders_every_n_epochs=1,
                use_distributed_sampler=False,
                num_sanity_val_steps=0,
                logger=False,
                enable_progress_bar=self.progress,
                enable_model_summary=False,
                default_root_dir=folder,
            )
            before = folder / LAST
            try:
                trainer.fit(task, ckpt_path=before if before.is_file() else None)
            except FloatingPointError as error:
                raise FloatingPointError(f"{error} of epoch {task.current_epoch + 1}") from error
        if self.patience is not None:
            task.load_state_dict(SafeCheckpointIO().load_checkpoint(best.best_model_path)["state_dict"])
        net.schedule, net.history = self.schedule.described(), tuple(history.epochs)
        return net.cpu().eval()


@contextmanager
def _interrupted_as_usual() -> Iterator[None]:
    """Ctrl-C reaches the caller: lightning leaves the program instead, and has no further Ctrl-C heard."""
    heard = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, heard)
        raise KeyboardInterrupt from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lightning's notes on the machine, and its advice on what is meant to be so."""
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Scenes are drawn faster than workers would pass them on; sequences know how many they are.
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*`IterableDataset` has `__len__` defined.*")
            warnings.filterwarnings("ignore", ".*exists and is not empty.*")
            # Lightning's own use of torch.
            warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
