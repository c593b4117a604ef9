"""Every example runs as its README says, and does what it claims."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

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


@pytest.mark.usefixtures("one_thread")
def test_follow_learner_draws_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning")
    picture = tmp_path / "learner.png"
    # In this process, and of few learners: it is the imports and the training that take time.
    monkeypatch.setattr(sys, "argv", ["follow_learner.py", str(picture), "8", "1"])
    runpy.run_path(str(EXAMPLES / "follow_learner.py"), run_name="__main__")
    told = re.findall(
        r"after +(\d+) answers: (\d+)% of images right, (\d+)% of names", capsys.readouterr().out
    )
    assert [int(answers) for answers, _, _ in told] == [0, 3, 8, 16, 30]
    _, right, guessed = (int(each) for each in told[2])
    assert guessed > right + 10
    with Image.open(picture) as drawn:
        assert min(drawn.size) > 400


def test_cka_loss_brings_the_student_to_the_teacher() -> None:
    before, after = map(float, re.findall(r"(\d\.\d+) (?:before|after)", run("cka_loss.py")))
    assert before < 0.8
    assert after > 0.9
