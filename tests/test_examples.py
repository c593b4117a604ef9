"""Every example runs as its README says, and does what it claims."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))


def run(name: str) -> str:
    """What an example prints."""
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_example_is_listed(name: str) -> None:
    assert f"`{name}`" in (EXAMPLES / "README.md").read_text()


def test_cka_loss_brings_the_student_to_the_teacher() -> None:
    before, after = map(float, re.findall(r"(\d\.\d+) (?:before|after)", run("cka_loss.py")))
    assert before < 0.8
    assert after > 0.9
