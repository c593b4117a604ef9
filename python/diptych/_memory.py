"""How much memory there is to have."""

from pathlib import Path

import psutil
import torch

_CGROUP = Path("/sys/fs/cgroup")


def available(device: torch.device) -> int:
    """Bytes that can be allocated on a device: of the machine, or of the container if that has less."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    machine = int(psutil.virtual_memory().available)
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return machine
    # What files hold in memory counts as used there, and makes room when it is asked for.
    return min(machine, limit - used + int(statistics.get("inactive_file", 0)))


def is_shortage(error: BaseException) -> bool:
    """Whether an exception says that memory could not be had; torch's for the CPU has no type of its own."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
