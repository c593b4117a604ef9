"""Packages that only some parts need: imported when they are used, and missed in words."""

import importlib
from typing import Any

_NEEDED = {
    "models": "diptych.embed needs {} for images and models",
    "language": "diptych.language needs {}",
    "language-local": "diptych.language.LocalChatModel needs {}",
    "numerosity": "diptych.numerosity needs {}",
    "tracing": "diptych.tracing needs {}",
    "collect": "diptych.collect needs {}",
}


def require(module: str, extra: str = "models") -> Any:
    """Import a package of an extra of pyproject.toml, one of those above.

    Raises:
        ModuleNotFoundError: It is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        root = module.partition(".")[0]
        if error.name != root:
            raise
        package = "pillow" if root == "PIL" else root
        raise ModuleNotFoundError(
            f"{_NEEDED[extra].format(package)}: pip install 'diptych[{extra}]'",
            name=error.name,
        ) from error
