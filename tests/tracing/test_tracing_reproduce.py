import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightning")

from diptych.tracing import Sequences, simulate, split
from diptych.tracing.reproduce import reproduce
from diptych.tracing.results import ORACLE
from diptych.tracing.scores import score
from diptych.tracing.study import TracingStudy
from diptych.tracing.tracer import Tracer
from diptych.tracing.train import fit

TINY: dict[str, Any] = {"models": ("static", "gt_label"), "n_learners": 8, "epochs": 1, "progress": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TracingStudy:
    out = tmp_path_factory.mktemp("study") / "study"
    # A kind that is named twice is one kind.
    return reproduce(out, kinds=("static", "exemplar", "static"), tables=("models",), seeds=2, **TINY)


def test_every_model_is_scored_on_whom_it_never_saw(made: TracingStudy) -> None:
    assert made.sets == ("static", "exemplar")
    assert made.models("exemplar") == (ORACLE, "static", "gt_label")
    assert len(made.rows) == 2 * 2 * 3 * 2
    learners = simulate("exemplar", n_learners=8, seed=1)
    shown = learners.of(split(learners, 1).test)
    tracer = Tracer.load(made.folder / "exemplar-1" / "static" / "tracer.safetensors")
    assert not tracer.seen(shown).any()
    for model, chances in (("static", tracer.probabilities(shown)), (ORACLE, shown.truth)):
        for phase, asked in (("train", ~shown.test), ("test", shown.test)):
            found = score(chances[asked], shown.response[asked])
            assert made.micro_ap("exemplar", model, phase)[1] == found.micro_ap
            (of_class,) = [
                row.ap
                for row in made.classes
                if (row.learners, row.seed, row.model, row.phase, row.answer)
                == ("exemplar", 1, model, phase, shown.classes[2])
            ]
            np.testing.assert_equal(of_class, found.class_ap[2])


def test_it_is_resumed(made: TracingStudy) -> None:
    again: dict[str, Any] = {"kinds": ("static", "exemplar"), "tables": ("models",), "seeds": 2, **TINY}
    with pytest.raises(FileExistsError, match="holds a finished study of tracing"):
        reproduce(made.folder, **again)
    with pytest.raises(ValueError, match="holds another study of tracing, epochs is 1 there and 2 here"):
        reproduce(made.folder, resume=True, **{**again, "epochs": 2})
    kept = made.folder / "static-0" / "gt_label" / "tracer.safetensors"
    when = kept.stat().st_mtime_ns
    (made.folder / "exemplar-1" / "static" / "tracer.safetensors").unlink()
    (made.folder / "claims.csv").unlink()
    assert reproduce(made.folder, resume=True, **again).rows == made.rows
    assert kept.stat().st_mtime_ns == when
    with open(made.folder / "claims.csv", newline="") as file:
        assert {row["learners"] for row in csv.DictReader(file)} == {"static"}


def test_given_learners_are_split_anew_and_varied(tmp_path: Path) -> None:
    people = simulate("gradient", n_learners=6, n_train=3, n_test=1, seed=0)
    unknown = Sequences(**{**vars(people), "truth": None})
    asked: dict[str, Any] = {"tables": ("inputs",), "seeds": 2, "epochs": 1, "progress": False}
    found = reproduce(tmp_path / "study", {"people": unknown}, workers=2, **asked)
    assert found.sets == ("people",)
    assert found.models("people") == (
        "direct_yz",
        "direct_yz, accuracy",
        "cls_pred_y",
        "cls_pred_y, accuracy",
    )
    assert len(found.micro_ap("people", "cls_pred_y", "test")) == 2
    assert np.isnan(found.frame().share).all()
    # Processes of one thread are as one process of one thread.
    again = reproduce(tmp_path / "again", {"people": unknown}, **asked)
    for own, other in zip(found.rows, again.rows, strict=True):
        assert own.micro_ap == pytest.approx(other.micro_ap, abs=1e-4)


def test_what_was_trained_outlives_what_is_refused_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"kinds": ("static",), "tables": ("models",), "seeds": 1, **TINY}
    trained = []

    def refused(sequences: Sequences, model: str, *given: Any, **options: Any) -> Tracer:
        if model == "gt_label":
            raise ValueError("an image that cannot be read")
        trained.append(model)
        return fit(sequences, model, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[reproduce.__module__], "fit", refused)
        with pytest.raises(ValueError, match="an image that cannot be read"):
            reproduce(tmp_path / "study", **asked)
    assert trained == ["static"]
    kept = tmp_path / "study" / "static-0" / "static" / "tracer.safetensors"
    when = kept.stat().st_mtime_ns
    assert reproduce(tmp_path / "study", resume=True, **asked).models("static") == (ORACLE, *TINY["models"])
    assert kept.stat().st_mtime_ns == when


FEW = simulate("gradient", n_learners=2, n_train=2, n_test=0, n_images=10)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kinds": ("owls",)}, "kinds: expected one of"),
        ({"kinds": "static"}, "kinds: expected some of static, prototype"),
        ({"models": ()}, "models: expected some of gt_label"),
        ({"tables": ("all",)}, "tables: expected one of"),
        (
            {"kinds": ("static",), "tables": ("inputs",)},
            "tables: expected 'models' for static learners",
        ),
        ({"seeds": 0}, "seeds: expected"),
        ({"n_learners": 0}, "n_learners: expected"),
        ({"workers": 0}, "workers: expected"),
        ({"epochs": 0}, "epochs: expected"),
        ({"device": "abacus"}, "device: expected"),
        ({"answers": {"few": FEW}}, "expected a learner for each part of a split, few: 2"),
        ({"answers": {"bare": replace(FEW, learners=("a", "b", "c"), features=None)}}, "bare has neither"),
        ({"answers": {}}, "answers: expected sets of learners by name, found none"),
        ({"answers": {"../up": None}}, "answers: expected names of letters"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reproduce(tmp_path / "study", **wrong)
    assert not (tmp_path / "study").exists()
