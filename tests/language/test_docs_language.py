"""The lines of docs/language.md run one after the other."""

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rsvc_results import comparison, pictures

from diptych.cli.compare import compare
from diptych.language import Cached
from diptych.rdx.results import Explanations, Parameters, RDXResult

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text()
ANSWER = "IC1: a\nIC2: b\nSimilarity: c\nDifference: d\nSemantic difference: No\nDescription: e"


class Answering:
    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        return ANSWER


@pytest.mark.usefixtures("one_thread")
def test_the_lines_of_code_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_KEY", "not a key")
    monkeypatch.chdir(tmp_path)
    making, concept, concepts, grids = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(making, names)
    assert isinstance(names["model"], Cached)
    images = np.zeros((4, 3, 3), np.uint8)
    side = Explanations([np.arange(4)], np.zeros(4, np.int64), 1.0, np.ones(1), np.ones(1))
    names |= {"model": Answering(), "real": images, "under_predicted": images, "images": images}
    names |= {"pairs": [(images[0], images[1])], "result": RDXResult(side, side, Parameters())}
    exec(concept, names)
    assert names["found"].semantic_difference is False
    assert [each.malformed for each in names["many"]] == [False]
    assert list(tmp_path.iterdir()) == []
    names |= {"results": comparison(), "patches": pictures()}
    exec(concepts, names)
    exec(grids, names)
    assert names["a"][0].description == names["b"][0].description == "e"
    for name in ("concepts", "grids"):
        assert "a-model-that-sees, a vision-language model" in (tmp_path / name / "index.html").read_text()


def test_the_options_that_are_named_are_there() -> None:
    named = set(re.findall(r"--([a-z-]+)", PAGE))
    assert {"describe-url", "describe-model", "describe-key-from", "describe-cache"} <= named
    assert named <= {name.replace("_", "-") for name in inspect.signature(compare).parameters}
