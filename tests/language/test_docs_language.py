"""The lines of docs/language.md run one after the other."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diptych.language import Cached
from diptych.rdx.results import Explanations, Parameters, RDXResult

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text()
ANSWER = "IC1: a\nIC2: b\nSimilarity: c\nDifference: d\nSemantic difference: No\nDescription: e"


class Answering:
    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        return ANSWER


def test_the_lines_of_code_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_KEY", "not a key")
    monkeypatch.chdir(tmp_path)
    making, concept, grids = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
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
    exec(grids, names)
    assert names["a"][0].description == names["b"][0].description == "e"
    assert list(tmp_path.iterdir()) == []
