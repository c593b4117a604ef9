"""docs/collect.md says what the code says."""

import inspect
import re
from pathlib import Path

import pytest
from collect_images import write_images

from diptych.cli.tracing_collect import collect
from diptych.collect import Ranking, Store, Trial

PAGE = (Path(__file__).parents[2] / "docs" / "collect.md").read_text()


def test_the_lines_of_code_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "greebles")
    _, snippet = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(snippet, "docs/collect.md", "exec"), names)
    trials = names["trials"]
    assert isinstance(trials, Ranking)
    assert isinstance(trials.plan(0)[0], Trial)
    assert names["port"] != 0


def test_the_options_and_their_defaults_are_there() -> None:
    known = {
        name.replace("_", "-"): each.default for name, each in inspect.signature(collect).parameters.items()
    }
    named = set(re.findall(r"--([a-z][a-z-]*)", PAGE))
    assert {
        "images",
        "port",
        "host",
        "allow-host",
        "train",
        "test",
        "classes",
        "seed",
        "out",
        "export",
    } == named
    assert named <= known.keys()
    assert (known["train"], known["test"], known["host"], known["port"]) == (30, 15, "127.0.0.1", 8000)
    for name in ("train", "test"):
        assert f"`--{name} {known[name]}`" in PAGE


def test_the_tables_are_those_of_the_file(store: Store) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    tables = store._base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert sorted(listed) == sorted(name for (name,) in tables)
