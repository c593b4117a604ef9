"""One process of a team, for test_team.py: compares two .npy files and saves what it got."""

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from diptych import rdx
from diptych.rdx.team import join, restarted


def main(folder: Path, *options: str) -> None:
    torch.set_num_threads(1)
    join("gloo", timedelta(seconds=60))
    try:
        rank = dist.get_rank()
        a, b = np.load(folder / "a.npy"), np.load(folder / "b.npy")
        if f"other-{rank}" in options:
            a = a[::-1].copy()
        chosen = dict(option.split("=") for option in options if "=" in option)
        resume = "workspace" in chosen and restarted()
        result = rdx.compare(
            a, b, n_explanations=3, distributed=True, resume=resume, progress=False, **chosen
        )
        result.save(folder / f"{rank}.npz")
    finally:  # threads of a group that is left to the interpreter's end may abort the process
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
