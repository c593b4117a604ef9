"""docs/tracing.md runs as it stands, and says what the code says."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diptych.cli import (
    tracing_answers,
    tracing_collect,
    tracing_evaluate,
    tracing_fit,
    tracing_reproduce,
    tracing_simulate,
)
from diptych.plots import TRACING_FIGURES
from diptych.plots.canvas import blank
from diptych.tracing import KINDS, MODELS, Sequences
from diptych.tracing.models import TracingModel
from diptych.tracing.policies import POLICIES
from diptych.tracing.rows import NEEDED, OPTIONAL

PAGE = (Path(__file__).parent.parent / "docs" / "tracing.md").read_text()


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the lines of code leave, run one after the other; figures of pages are tested elsewhere."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("lightning")
    found: dict[str, Any] = {"folder": tmp_path_factory.mktemp("docs")}
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found["folder"])
        patch.setattr("diptych.report.tracing_write.tracing_figure", lambda *_: blank(1, 1))
        torch.set_num_threads(1)
        for snippet in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
            exec(compile(snippet, "docs/tracing.md", "exec"), found)
        torch.set_num_threads(threads)
    return found


def test_answers_are_what_the_page_says(names: dict[str, Any]) -> None:
    answers = names["answers"]
    assert isinstance(answers, Sequences)
    assert (answers.label.tolist(), answers.response.tolist()) == ([0, 1, 1], [1, 1, 0])
    assert answers.seconds is not None
    np.testing.assert_array_equal(answers.seconds, np.array([2.5, 1.25, np.nan], np.float32))
    assert f"# {names['fault']}\n" in PAGE
    assert [len(names[part]) for part in ("train", "validation", "test")] == [105, 20, 25]
    assert names["figures"].images.shape == (12, 128, 128, 3)
    assert (names["folder"] / "greebles" / "Agara" / "0000.png").is_file()


def test_models_and_learners_are_what_the_page_says(names: dict[str, Any]) -> None:
    learners, tracer = names["learners"], names["tracer"]
    assert (learners.truth.shape, learners.features.shape) == ((288, 3), (300, 4))
    assert learners.about["careless"]
    assert tracer.history[-1].epoch == 3
    assert names["chances"].shape == (300, 3)
    assert (names["weights"].shape, names["offsets"].shape) == ((3, 4), (3,))
    assert names["frame"].share_of_gap.notna().all()
    assert (names["folder"] / "page" / "index.html").is_file()
    assert set(names["scores"].answers) == {6, 12}
    assert 0 <= names["shown"] < 300
    assert names["lessons"].right.shape == (3, 2, 4, 4)


def test_kinds_models_and_figures_are_those_of_the_code() -> None:
    kinds = PAGE[PAGE.index("| kind |") : PAGE.index("Learners of a kind differ")]
    assert set(re.findall(r"^\| `(\w+)` \|", kinds, re.MULTILINE)) == set(KINDS)
    models = PAGE[PAGE.index("| name | before") : PAGE.index("`prototype_softmax`")]
    named = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", models, re.MULTILINE)
    assert [name for name, _ in named] == [name for name in MODELS if not name.endswith("_softmax")]
    for name, classifier in named:
        has = MODELS[name].classifiers is not TracingModel.classifiers
        assert has == (classifier != "none"), name
    for name in TRACING_FIGURES:
        assert f"`{name}`" in PAGE
    for name in POLICIES:
        assert f"`{name}`" in PAGE


def test_the_options_that_are_named_are_there() -> None:
    commands = [
        tracing_simulate.simulate,
        tracing_simulate.greebles,
        tracing_answers.validate,
        tracing_fit.fit,
        tracing_evaluate.evaluate,
        tracing_evaluate.careless,
        tracing_collect.collect,
        tracing_reproduce.reproduce,
    ]
    known = {name for command in commands for name in command.__annotations__} | {"tracer"}
    named = {name.replace("-", "_") for name in re.findall(r"(?<!\w)--([a-z0-9][a-z0-9-]*)", PAGE)}
    assert named <= known
    assert len(named) > 4


def test_the_columns_are_those_of_the_code() -> None:
    table = PAGE[PAGE.index("| column |") : PAGE.index("Rows may stand")]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == NEEDED + OPTIONAL
