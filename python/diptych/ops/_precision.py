"""Products of float32 that stay float32, whatever the surroundings allow."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def without_autocast(device: torch.device) -> Iterator[None]:
    """Keep autocast from choosing the type of products inside the block."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        with torch.autocast(device.type, enabled=False):
            yield
    else:
        yield


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Keep torch from rounding float32 products to tf32, bfloat16 or an autocast type inside the block.

    Under ``torch.compile``, where these settings belong to the compiler's caller, nothing is changed.
    """
    if torch.compiler.is_compiling():
        yield
        return
    allowed = torch.get_float32_matmul_precision()
    if allowed != "highest":
        torch.set_float32_matmul_precision("highest")
    try:
        with without_autocast(device):
            yield
    finally:
        if allowed != "highest":
            torch.set_float32_matmul_precision(allowed)
