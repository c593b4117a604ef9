"""docs/ops.md has a section for every op, and the figures of the results."""

import csv
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from diptych import ops

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "ops.md").read_text()
SECTIONS = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, "readme_table", raising=False)
    monkeypatch.delitem(sys.modules, "ops_table", raising=False)
    import ops_table

    return ops_table


def test_the_figures_are_those_of_the_results(table) -> None:
    assert table.updated(PAGE) == PAGE, "run: python benchmarks/ops_table.py"


def test_every_op_has_its_section_and_its_figures() -> None:
    functions = {name for name in ops.__all__ if name.islower()} - {"last_backend", "normalized_cut"}
    assert functions <= set(SECTIONS)
    assert re.findall(r"<!-- figures of (\w+): begin -->", PAGE) == SECTIONS
    contents = re.findall(r"\[(\w+)\]\(#(\w+)\)", PAGE)
    assert contents == [(name, name) for name in SECTIONS]


def test_the_signatures_are_the_functions_own() -> None:
    shown = re.findall(r"^`ops\.(\w+)\((.*?)\)`", PAGE, re.MULTILINE)
    assert [name for name, _ in shown] == SECTIONS
    for name, listed in shown:
        scope: dict[str, Callable[..., object]] = {}
        exec(f"def shown({listed}): pass", scope)
        own = inspect.signature(getattr(ops, name)).parameters
        for parameter in inspect.signature(scope["shown"]).parameters.values():
            assert own[parameter.name].kind == parameter.kind, (name, parameter)
            assert own[parameter.name].default in (parameter.default, None), (name, parameter)


def test_the_lines_of_code_run_one_after_the_other() -> None:
    snippets = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, "docs/ops.md", "exec"), names)
    called = set(re.findall(r"ops\.(\w+)\(", "".join(snippets)))
    assert set(SECTIONS) - {"minibatch_cka"} <= called
    assert "MinibatchCKA" in called


def test_no_figure_is_typed_by_hand() -> None:
    by_hand = re.sub(
        r"<!-- figures of \w+: begin -->.*?<!-- figures of \w+: end -->", "", PAGE, flags=re.DOTALL
    )
    assert not re.findall(r"\d\s*(?:ms|µs|GB/s|GFLOP|×\s*faster)", by_hand)


def test_rows_won_lost_and_missing(table, tmp_path: Path) -> None:
    columns = ["op", "shape", "dtype", "backend", "p20_s", "unit", "share_of_limit"]
    columns += ["baseline", "baseline_p20_s", "ratio", "machine"]

    def write(name: str, **row: str) -> None:
        with open(tmp_path / name, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerow(row)

    assert table.figures("op", tmp_path) == "Not measured on a CPU or a GPU."
    common = {"dtype": "float32", "machine": "one", "unit": "GB/s"}
    won = {"op": "op, warm", "shape": "n=9", "p20_s": "0.002", "baseline": "numpy", "baseline_p20_s": "0.01"}
    write("a.csv", **common, **won, ratio="5", share_of_limit="0.5", backend="cpu")
    write("gpu_a.csv", **common, **won | {"baseline_p20_s": "0.0005"}, ratio="0.25", backend="cuda")
    write("other.csv", **common, **won | {"op": "op_two"}, ratio="5")
    found = table.figures("op", tmp_path).splitlines()
    assert found[2] == "| warm, n=9, float32, cpu | 2 ms | numpy, 10 ms | 5.0× faster | 50% of copy |"
    assert found[3] == "| warm, n=9, float32, cuda | 2 ms | numpy, 500 µs | **we lose: 4.0× slower** |  |"
    assert found[-1] == "On one."
    assert not any("Not measured" in line for line in found)
    (tmp_path / "gpu_a.csv").unlink()
    assert "Not measured on a GPU." in table.figures("op", tmp_path)
