"""Two representations of the same items, side by side: how alike, what differs, and whether it matters.

    import diptych
    result = diptych.rdx.compare(a, b)        # a, b: (n, d_a) and (n, d_b) embeddings of the same n items
    print(result.summary())
    diptych.report.write(result, "report")

Submodules load when they are first used, so that ``import diptych`` itself costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diptych import (
        collect,
        embed,
        estimators,
        language,
        numerosity,
        ops,
        plots,
        rdx,
        report,
        rsvc,
        stats,
        tracing,
    )

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "build_info",
    "collect",
    "embed",
    "estimators",
    "language",
    "numerosity",
    "ops",
    "plots",
    "rdx",
    "report",
    "rsvc",
    "stats",
    "tracing",
]


def build_info() -> dict[str, Any]:
    """What this installation was built with and can use: versions, instruction set, CUDA module, GPU."""
    from diptych._build import build_info

    return build_info()


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
