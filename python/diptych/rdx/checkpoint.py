"""What a long comparison has finished, on disk, so that a killed job's successor goes on where it stopped."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from diptych._checkpoint import JOB, Checkpoint
from diptych.rdx.sampling import Sample


def clear(folder: str | os.PathLike[str]) -> None:
    """Remove a job whose result is safe elsewhere, and the folder if nothing else is in it."""
    place = Path(folder)
    for path in (*place.glob("rows-*.safetensors"), *place.glob("explained-*.safetensors"), place / JOB):
        path.unlink(missing_ok=True)
    if place.is_dir() and not any(place.iterdir()):
        place.rmdir()


@dataclass(frozen=True)
class Stored:
    """A direction's groups as they were saved, and the share of mutual neighbors."""

    sample: Sample
    mutual_knn: float


def save_sample(checkpoint: Checkpoint | None, side: int, sample: Sample, mutual_knn: float) -> None:
    """Save the groups of a direction, if there is where to."""
    if checkpoint is None:
        return
    grids = [grid.cpu().numpy() for grid in sample.grids]
    checkpoint.save(
        f"explained-{side}",
        items=np.concatenate([np.empty(0, np.int64), *grids]),
        sizes=np.array([len(grid) for grid in grids], np.int64),
        labels=sample.labels.cpu().numpy(),
        mean_affinity=sample.mean_affinity.cpu().numpy(),
        notes=np.frombuffer(json.dumps(sample.notes).encode(), np.uint8),
        mutual_knn=np.array([mutual_knn]),
    )


def load_sample(checkpoint: Checkpoint | None, side: int) -> Stored | None:
    """The groups of a direction, if they were saved."""
    stored = None if checkpoint is None else checkpoint.load(f"explained-{side}")
    if stored is None:
        return None
    sizes = stored["sizes"].tolist()
    grids = list(torch.from_numpy(stored["items"]).split(sizes)) if sizes else []
    notes = json.loads(stored["notes"].tobytes())
    labels, means = torch.from_numpy(stored["labels"]), torch.from_numpy(stored["mean_affinity"])
    return Stored(Sample(grids, labels, means, notes), float(stored["mutual_knn"][0]))
