"""Packages that only image models need: imported when they are used, and missed in words."""

import importlib
from typing import Any


def require(module: str) -> Any:
    """Import a package of the extra ``models``.

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
            f"diptych.embed needs {package} for images and models: pip install 'diptych[models]'",
            name=error.name,
        ) from error
