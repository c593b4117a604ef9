"""Print what the dev extra asks for beyond the package itself, and pybind11 as the build asks for it."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())
wanted = project["project"]["optional-dependencies"]["dev"] + project["build-system"]["requires"]
print(*(line for line in wanted if not line.startswith(("diptych", "scikit-build"))), sep="\n")
