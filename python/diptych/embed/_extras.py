"""Packages that only some parts need: imported when they are used, and missed in words."""

import importlib
from typing import Any

_NEEDED = {"models": "diptych.embed needs {} for images and models", "language": "diptych.language needs {}"}


def require(module: str, extra: str = "models") -> Any:
    """Import a package of an extra, "models" or "language".

    Raises:
        ModuleNotFoundError: It is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        package = "pillow" if module == "PIL" else module
        raise ModuleNotFoundError(
            f"{_NEEDED[extra].format(package)}: pip install 'diptych[{extra}]'",
            name=error.name,
        ) from error
