"""The Triton kernels, loaded once more: whether a kernel is interpreted is settled at its decoration."""

import functools
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

from diptych import kernels


@functools.cache
def load(name: str, *, interpret: bool) -> ModuleType:
    """A kernel's module out of a copy of the package that is interpreted, or compiled, throughout."""
    copy = "kernels_interpreted" if interpret else "kernels_compiled"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", str(int(interpret)))
        if copy not in sys.modules:
            path = Path(kernels.__path__[0])
            spec = importlib.util.spec_from_file_location(
                copy, path / "__init__.py", submodule_search_locations=[str(path)]
            )
            assert spec is not None
            assert spec.loader is not None
            sys.modules[copy] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[copy])
        return importlib.import_module(f"{copy}.{name}")


def compiled_for(kernel: object, capability: int, signature: dict[str, str], constants: dict[str, object]):
    """Compile a kernel without a GPU; its intermediate texts by name."""
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    options = {name: constants.pop(name) for name in ("num_warps",) if name in constants}
    source = ASTSource(kernel, signature | dict.fromkeys(constants, "constexpr"), constants)
    return compile_kernel(source, target=GPUTarget("cuda", capability, 32), options=options).asm
