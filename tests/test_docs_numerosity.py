"""docs/numerosity.md runs as it stands, and says what the code says."""

import re
from pathlib import Path

import pytest

pytest.importorskip("lightning")

from diptych.cli import numerosity_probe, numerosity_reproduce, numerosity_train
from diptych.cli.numerosity_analyze import analyze, examine
from diptych.numerosity import DATASETS, NumberLine
from diptych.plots import NUMEROSITY_FIGURES

PAGE = (Path(__file__).parent.parent / "docs" / "numerosity.md").read_text()


@pytest.mark.usefixtures("one_thread")
def test_the_lines_of_code_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(snippet, "docs/numerosity.md", "exec"), names)
    line = names["line"]
    assert isinstance(line, NumberLine)
    assert line.summary() in capsys.readouterr().out
    assert (tmp_path / "page" / "index.html").is_file()
    assert names["images"].shape == (3, 1, 244, 244)
    assert names["sequence"].counts[0] == 0


def test_the_data_sets_and_figures_are_those_of_the_code() -> None:
    table = PAGE[PAGE.index("| data set |") : PAGE.index("Squares lie uniformly")]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(DATASETS)
    assert {"main_7_3", "main_7_5", "appendix_7_1", "appendix_7_14"} <= set(NUMEROSITY_FIGURES)
    for name in ("main_7_3", "main_7_5", "appendix_7_1", "appendix_7_14"):
        assert f"`{name}`" in PAGE


def test_the_attributes_that_are_named_are_there() -> None:
    table = PAGE[PAGE.index("| figure | meaning |") : PAGE.index("## The study again")]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = {name.split(".")[0] for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    assert named <= set(dir(NumberLine)) | set(NumberLine.__dataclass_fields__)
    assert len(named) > 10


def test_the_options_that_are_named_are_there() -> None:
    commands = (
        numerosity_train.train,
        examine,
        analyze,
        numerosity_probe.probe,
        numerosity_reproduce.reproduce,
    )
    known = {name for command in commands for name in command.__annotations__}
    named = {name.replace("-", "_") for name in re.findall(r"--([a-z0-9][a-z0-9-]*)", PAGE)}
    assert named <= known
