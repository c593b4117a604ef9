"""Which backend serves a call, and which one served the last."""

import functools
import importlib.util
import os
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch

#: In the order they are preferred on a device they can serve.
BACKENDS = ("cpu", "cuda", "triton", "torch")

#: Installed libraries that an op may hand its work to, never unless asked by name.
LIBRARIES = {"faiss": "faiss-cpu"}

_last = threading.local()


def choose(
    op: str,
    device: torch.device,
    backend: str | None,
    implementations: Mapping[str, Callable[..., Any]],
) -> Callable[..., Any]:
    """Pick the implementation for a device, or the one asked for by name.

    Args:
        op: Name of the operation, for the error message.
        device: Where the inputs live.
        backend: One of ``BACKENDS``, or None for the first that can serve the device.
        implementations: The backends this op has.

    Raises:
        ValueError: The backend is unknown, the op has none of that name, or it cannot serve the device.
    """
    if backend is None:
        backend = next(name for name in BACKENDS if name in implementations and serves(name, device))
    elif backend in LIBRARIES and backend in implementations:
        if importlib.util.find_spec(backend) is None:
            raise ValueError(f"backend: {backend!r} needs {LIBRARIES[backend]}, which is not installed")
        if device.type != "cpu":
            raise ValueError(f"backend: {backend!r} cannot serve arrays on {device} here")
    elif backend not in BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, found {backend!r}")
    elif backend not in implementations:
        offered = ", ".join(name for name in (*BACKENDS, *LIBRARIES) if name in implementations)
        raise ValueError(f"backend: {op} has no {backend!r}, it has {offered}")
    elif not serves(backend, device):
        raise ValueError(f"backend: {backend!r} cannot serve arrays on {device} here")
    implementation = implementations[backend]

    def run(*arguments: Any) -> Any:
        result = implementation(*arguments)
        _last.backend = backend  # afterwards: an op may be made of others
        return result

    return run


def serves(backend: str, device: torch.device) -> bool:
    """Whether a backend can work on a device in this installation."""
    if backend == "cpu":
        return device.type == "cpu"
    if backend == "cuda":
        return device.type == "cuda" and cuda_module() is not None
    if backend == "triton":
        interpreted = os.environ.get("TRITON_INTERPRET") == "1" and device.type == "cpu"
        return triton_available() and (device.type == "cuda" or interpreted)
    return True


def last_backend() -> str | None:
    """Return the backend that served the calling thread's last op, None before the first."""
    return getattr(_last, "backend", None)


@functools.cache
def cuda_module() -> ModuleType | None:
    """Return the compiled CUDA module, or None where it was not built."""
    if importlib.util.find_spec("diptych._cuda") is None:
        return None
    return importlib.import_module("diptych._cuda")


@functools.cache
def triton_available() -> bool:
    """Whether triton is installed."""
    return importlib.util.find_spec("triton") is not None


def stream_of(tensor: torch.Tensor) -> int:
    """Return the caller's current CUDA stream on the tensor's device, as a raw handle."""
    return torch.cuda.current_stream(tensor.device).cuda_stream


def asking_is_cheap(tensor: torch.Tensor) -> bool:
    """Whether the host can look at a value without waiting for a device to finish."""
    return tensor.device.type == "cpu"
