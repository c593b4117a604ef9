"""What was built, and what this machine can run of it."""

import platform
from typing import Any


def build_info() -> dict[str, Any]:
    """See :func:`diptych.build_info`."""
    import torch

    from diptych import __version__, _cpu
    from diptych.ops._dispatch import cuda_module, triton_available

    cuda = cuda_module()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "diptych": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "compiler": _cpu.COMPILER,
        "openmp": _cpu.OPENMP,
        "simd": _cpu.simd_level(),
        "threads": torch.get_num_threads(),
        "cuda_module": cuda.CUDA_VERSION if cuda else None,
        "cuda_architectures": cuda.ARCHITECTURES if cuda else None,
        "triton": triton_available(),
        "gpu": gpu,
    }


def versions() -> dict[str, str]:
    """The software that makes a result."""
    return {name: str(value) for name, value in build_info().items() if value is not None}
