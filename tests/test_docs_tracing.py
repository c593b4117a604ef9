"""docs/tracing.md runs as it stands, and says what the code says."""

import re
from pathlib import Path

import numpy as np
import pytest

from diptych.tracing import Sequences
from diptych.tracing.rows import NEEDED, OPTIONAL

PAGE = (Path(__file__).parent.parent / "docs" / "tracing.md").read_text()


def test_the_lines_of_code_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(snippet, "docs/tracing.md", "exec"), names)
    answers = names["answers"]
    assert isinstance(answers, Sequences)
    assert (answers.label.tolist(), answers.response.tolist()) == ([0, 1, 1], [1, 1, 0])
    assert answers.seconds is not None
    np.testing.assert_array_equal(answers.seconds, np.array([2.5, 1.25, np.nan], np.float32))
    assert f"# {names['fault']}\n" in PAGE
    assert [len(names[part]) for part in ("train", "validation", "test")] == [105, 20, 25]
    assert names["figures"].images.shape == (12, 128, 128, 3)
    assert (tmp_path / "greebles" / "Agara" / "0000.png").is_file()


def test_the_columns_are_those_of_the_code() -> None:
    table = PAGE[PAGE.index("| column |") : PAGE.index("Rows may stand")]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == NEEDED + OPTIONAL
