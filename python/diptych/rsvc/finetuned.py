"""What fine-tuning made: a model, how it came to be, and both in a folder."""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from diptych._files import atomic_path
from diptych.embed import ImageModel, Unreadable
from diptych.embed.checkpoints import load_weights, read_checkpoint
from diptych.embed.finetuning import Epoch

#: The files of a finished fine-tuning; the second is written last.
WEIGHTS, FINETUNED = "weights.safetensors", "finetuned.json"


@dataclass(frozen=True)
class Finetuned:
    """What :func:`diptych.rsvc.finetune` made.

    Attributes:
        model: The model, in evaluation mode, ready for :func:`diptych.rsvc.run`.
        classes: Names of its logits.
        history: What each epoch came to; of a frozen backbone, each iteration of L-BFGS.
        unreadable: The images that were skipped.
        validation_unreadable: Those of the validation images; None without any.
        weights: The file of the weights, which ``load_model("timm:NAME", checkpoint=...)`` reads; None where
            no folder was given.
    """

    model: ImageModel
    classes: tuple[str, ...]
    history: tuple[Epoch, ...]
    unreadable: Unreadable
    validation_unreadable: Unreadable | None = None
    weights: Path | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of the validation images classified rightly at the end; None without any."""
        last = self.history[-1].accuracy
        return None if math.isnan(last) else last

    def summary(self) -> str:
        """The fine-tuning in plain words, a line per fact."""
        last = self.history[-1]
        lines = [
            f"{self.model.name}: {len(self.classes)} classes, {self.unreadable}",
            f"after {last.epoch} passes: cross-entropy {last.loss:.4f}",
        ]
        if self.validation_unreadable is not None:
            lines[1] += f", validation accuracy {last.accuracy:.2%}"
            lines.append(f"validation: {self.validation_unreadable}")
        return "\n".join(lines)

    def save(self, folder: Path) -> "Finetuned":
        """Write the weights and what is known of them; returns this with their path."""
        path = folder / WEIGHTS
        # Copies, for safetensors refuses tensors that share memory.
        state = {
            name: each.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, each in self.model.module.state_dict().items()
        }
        with atomic_path(path) as temporary:
            save_file(state, temporary)
        skipped = self.validation_unreadable
        content = {
            "model": self.model.name,
            "classes": self.classes,
            "history": [_plain(each) for each in self.history],
            "unreadable": asdict(self.unreadable),
            "validation_unreadable": None if skipped is None else asdict(skipped),
        }
        with atomic_path(folder / FINETUNED) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return replace(self, weights=path)

    @classmethod
    def load(cls, folder: Path, model: ImageModel) -> "Finetuned":
        """Read what :meth:`save` wrote into a model with a classifier of as many classes.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is damaged, or the weights are of another model; the file is named.
        """
        path = folder / FINETUNED
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            history = [_epoch(each) for each in content["history"]]
            unreadable = Unreadable(**content["unreadable"])
            skipped = content["validation_unreadable"]
            validation_unreadable = None if skipped is None else Unreadable(**skipped)
            classes = tuple(map(str, content["classes"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: damaged: {error}") from error
        load_weights(model.module, read_checkpoint(folder / WEIGHTS), str(folder / WEIGHTS))
        model.module.eval()
        return cls(model, classes, tuple(history), unreadable, validation_unreadable, folder / WEIGHTS)


def _plain(epoch: Epoch) -> dict[str, Any]:
    """JSON has no NaN."""
    return {name: None if value != value else value for name, value in asdict(epoch).items()}


def _epoch(found: dict[str, Any]) -> Epoch:
    accuracy = math.nan if found["accuracy"] is None else float(found["accuracy"])
    return Epoch(int(found["epoch"]), float(found["loss"]), accuracy)
