"""Being one of several processes that torchrun has started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

# A process may wait long for the one that leads: a collective's timeout is no sign of death here.
_PATIENCE = timedelta(days=7)


@contextmanager
def process_group(device: str | None) -> Iterator[tuple[str | None, int | None]]:
    """Join the job's processes: yield this one's device and rank, (device, None) where it is alone.

    NCCL, with a GPU per process, where the device is CUDA; gloo on the CPU.
    """
    from diptych.rdx.team import join, launched

    if not launched():
        yield device, None
        return
    import torch
    import torch.distributed as dist

    on_gpu = torch.device(device).type == "cuda" if device is not None else torch.cuda.is_available()
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    join("nccl" if on_gpu else "gloo", _PATIENCE)
    try:
        yield device, dist.get_rank()
    finally:
        dist.destroy_process_group()
