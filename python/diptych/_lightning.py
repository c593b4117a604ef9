"""Training with lightning, as every workflow does it: quiet, resumable to the bit, nothing unpickled.

Importing this imports lightning.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, ProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO

from diptych._checkpoint import JobFolder, check_folder, unless_refused
from diptych._files import atomic_path
from diptych._progress import Stages

#: The checkpoint of a folder: of the last epoch that was finished.
LAST = "last.ckpt"

Epoch = TypeVar("Epoch")
Trained = TypeVar("Trained")


def trained_in(
    folder: Path,
    job: Mapping[str, Any],
    resume: bool,
    *,
    kind: str,
    finished: str,
    read: Callable[[Path], Trained],
    fit: Callable[[Path], Trained],
) -> tuple[Trained, bool]:
    """Train in a folder that belongs to this training alone, or read what it came to.

    Args:
        folder: Where; made if need be.
        job: What the training is, as JSON can hold it.
        resume: Whether to go on with what the folder holds of it.
        kind: What errors call it.
        finished: The file that is there when it is done.
        read: Reads that file.
        fit: Trains, from the last epoch that the folder holds.

    Returns:
        What came of it, and whether it was trained now.

    Raises:
        FileExistsError: The folder holds something and ``resume`` was not asked for.
        FloatingPointError: A loss that is not finite; the message tells what is kept.
        ValueError: The folder holds another training, or a damaged one.
    """
    # What lightning starts beside the first process finds the folder begun by it.
    resume = resume or os.environ.get("LOCAL_RANK", "0") != "0"
    check_folder(folder, resume, kind=kind, finished=finished, again="--resume", beside="")
    with unless_refused(folder):
        JobFolder(folder, job, {}, resume=resume, kind=kind)
        if (folder / finished).is_file():
            return read(folder / finished), False
        try:
            return fit(folder), True
        except FloatingPointError as error:
            last = folder / LAST
            kept = f"the last good epoch is kept in {last}" if last.is_file() else "no epoch was finished"
            raise FloatingPointError(f"{error}; {kept}") from error


def run(
    task: lightning.LightningModule,
    callbacks: Sequence[Callback],
    *,
    epochs: int,
    folder: Path | None,
    device: str,
    progress: bool,
    **options: Any,
) -> None:
    """Train.

    Args:
        task: What.
        callbacks: What else is done.
        epochs: How many.
        folder: Keeps the state of the last epoch, from which training goes on if it is there; None for none.
        device: What lightning calls the accelerator.
        progress: Whether a bar is shown.
        options: Of lightning's trainer.

    Raises:
        FloatingPointError: A loss that is not finite.
        ValueError: A damaged checkpoint.
    """
    before = None if folder is None else folder / LAST
    all_of_them = [*callbacks, *([] if before is None else [_last(before)])]
    with _quiet(), _interrupted_as_usual():
        trainer = lightning.Trainer(
            accelerator=device,
            max_epochs=epochs,
            callbacks=[*all_of_them, *([Bar()] if progress else [])],
            plugins=[SafeCheckpointIO()],
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            enable_checkpointing=folder is not None,
            default_root_dir=folder,
            **options,
        )
        try:
            trainer.fit(task, ckpt_path=before if before is not None and before.is_file() else None)
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} of epoch {task.current_epoch + 1}") from error


def finite(loss: torch.Tensor, task: lightning.LightningModule) -> torch.Tensor:
    """The loss of a step.

    Raises:
        FloatingPointError: It is not finite.
    """
    if not torch.isfinite(loss):
        raise FloatingPointError(
            f"loss: expected a finite one, found {loss.item()} in step {task.global_step + 1}"
        )
    return loss


class History(Callback, Generic[Epoch]):
    """Keeps what each epoch came to, in checkpoints too.

    Args:
        kind: A dataclass of the epoch's number and of what it came to.
        names: What that is called in lightning's metrics, in the order of the fields.
    """

    def __init__(self, kind: Callable[..., Epoch], names: Sequence[str]) -> None:
        self.epochs: list[Epoch] = []
        self._kind, self._names = kind, names

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the epoch that ends."""
        said = trainer.callback_metrics
        self.epochs.append(
            self._kind(trainer.current_epoch + 1, *(float(said[name]) for name in self._names))
        )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"epochs": [asdict(each) for each in self.epochs]}  # type: ignore[call-overload]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.epochs = [self._kind(**each) for each in state_dict["epochs"]]


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


class Bar(ProgressBar):
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


def _last(path: Path) -> ModelCheckpoint:
    """Keeps the state of the last epoch."""
    return ModelCheckpoint(
        path.parent, path.stem, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )


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
            # What is frozen is in evaluation mode.
            warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")
            # Lightning's own use of torch.
            warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
