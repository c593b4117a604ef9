"""What the benchmarks of the ops on n × n matrices share: their rows, and data of a given kind."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from conftest import Recorder, spread
from diptych import ops


def add_rows(
    recorder: Recorder,
    times: list[float],
    baselines: Mapping[str, list[float]],
    *,
    op: str,
    shape: str,
    dtype: str,
    bytes_moved: int,
    limit_s: float,
    error: Any,
) -> dict[str, float]:
    """One row per baseline, of 20th percentiles; returns how many times faster than each we are.

    Args:
        recorder: Takes the rows.
        times: Seconds of our calls.
        baselines: Seconds of each baseline's calls.
        op: What was run.
        shape: Of its arguments.
        dtype: Of its arguments.
        bytes_moved: What the op has to read and write.
        limit_s: The time that this machine's limits, measured in the same run, allow.
        error: The largest error of our result.
    """
    own = spread(times)
    ratios = {name: float(np.percentile(theirs, 20)) / own["p20_s"] for name, theirs in baselines.items()}
    for name, theirs in baselines.items():
        recorder.add(
            op=op,
            shape=shape,
            dtype=dtype,
            backend=ops.last_backend(),
            **own,
            rate=bytes_moved / own["p20_s"] / 1e9,
            unit="GB/s",
            share_of_limit=limit_s / own["p20_s"],
            baseline=name,
            baseline_p20_s=float(np.percentile(theirs, 20)),
            ratio=ratios[name],
            error=error,
        )
    return ratios


def points(n: int, d: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Gaussian embeddings (n, d)."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def rank_pair(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbor ranks (n, n) of two related embeddings: the second adds noise to the first."""
    x = points(n, 16, 0)
    return ops.neighbor_ranks(x), ops.neighbor_ranks(x + 0.5 * points(n, 16, 1))
