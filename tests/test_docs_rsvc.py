"""docs/rsvc.md runs as it stands, and says what the code says."""

import re
from pathlib import Path

import pytest
import torch

from diptych.cli.rsvc_finetune import finetune
from diptych.cli.rsvc_layers import layers
from diptych.cli.rsvc_run import run
from diptych.rsvc.layers_result import LayersResult
from diptych.rsvc.run_result import CLASSES, COLUMNS, CONCEPTS, RUN, SHOWN, RunResult

PAGE = (Path(__file__).parent.parent / "docs" / "rsvc.md").read_text()


@pytest.mark.usefixtures("one_thread")
def test_the_lines_of_code_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(snippet, "docs/rsvc.md", "exec"), names)
    found = names["found"]
    assert isinstance(found, RunResult)
    assert list(found) == ["zero", "one", "two"]
    assert "3 classes compared, 0 skipped; all 30 images were read" in capsys.readouterr().out
    assert "zero.coefficients_1.shape  # (80, 4)" in PAGE
    assert found["zero"].coefficients_1.shape == (80, 4)
    written = {path.name for path in (tmp_path / "digits").iterdir()}
    assert written == {"activations", "classes", CLASSES, CONCEPTS, RUN, SHOWN, "job.json"}
    assert (tmp_path / "page" / "index.html").is_file()
    matrix = names["layers"]
    assert isinstance(matrix, LayersResult)
    assert f"layers.matrix.shape  # {matrix.matrix.shape}" in PAGE
    assert torch.get_num_threads() == 1


def test_every_column_is_explained() -> None:
    rows = re.findall(r"^\| (`.*`) \|", PAGE, re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(COLUMNS) <= explained


def test_the_options_that_are_named_are_there() -> None:
    part = PAGE[: PAGE.index("## RDX of two models")]
    named = {name.replace("-", "_") for name in re.findall(r"--(?:no-)?([a-z0-9][a-z0-9-]*)", part)}
    known = {name for command in (finetune, layers, run) for name in command.__annotations__}
    assert named - {"help", "format"} <= known
    assert len(named) > 20
