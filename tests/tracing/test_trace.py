import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_tracers import drawn
from made_up import random_sequences

from diptych.tracing.fingerprint import of_learners
from diptych.tracing.results import ORACLE, Paths, TracingResult
from diptych.tracing.scores import score
from diptych.tracing.sequences import Sequences
from diptych.tracing.trace import trace


@pytest.fixture(scope="module")
def answers() -> Sequences:
    """Learners of 5, 2, 0 and 4 training steps; the third has a test alone."""
    random = random_sequences([5, 2, 0, 4], [2, 0, 3, 1], dimension=4)
    truth = np.random.default_rng(1).dirichlet([1.0] * 3, len(random.item))
    return replace(random, truth=truth, folder=Path("images"), about={"simulated": "gradient"})


@pytest.fixture(scope="module")
def result(answers: Sequences) -> TracingResult:
    return trace(
        {"static": drawn("static", answers), "ours": drawn("cls_pred_y", answers, layers=2)}, answers
    )


def test_models_foretell_as_their_tracers_do(answers: Sequences, result: TracingResult) -> None:
    assert result.models == ("static", "ours")
    own = drawn("cls_pred_y", answers, layers=2).probabilities(answers)
    assert np.array_equal(result.probabilities["ours"], own)
    foretold = result.foretold()
    assert list(foretold) == ["static", "ours", ORACLE]
    assert np.array_equal(foretold[ORACLE], answers.truth)
    assert result.answers.folder is None
    alone = TracingResult(replace(answers, truth=None), {"static": own})
    assert list(alone.foretold()) == ["static"]


def test_it_is_told_where_a_result_comes_from(answers: Sequences, result: TracingResult) -> None:
    assert result.about["sequences"] == {"simulated": "gradient"}
    assert result.about["seen"] == 0
    plain = {"model": "static", "split": None, "seed": None, "epochs": None}
    assert result.about["tracers"]["static"] == plain | {
        "is": "One linear classifier of the image, the same for all learners at all times."
    }
    assert result.about["tracers"]["ours"]["model"] == "cls_pred_y"
    trained = {"learners": of_learners(answers)[:3], "split": 2, "schedule": {"seed": 5}}
    about = trace(drawn("static", answers, trained), answers, seen=True).about
    assert about["seen"] == 3
    assert (about["tracers"]["static"]["split"], about["tracers"]["static"]["seed"]) == (2, 5)


def test_paths_are_those_of_a_tracer_who_follows(answers: Sequences) -> None:
    tracer = drawn("cls_pred_y", answers, layers=2)
    paths = trace(tracer, answers).paths
    assert paths is not None
    assert (paths.model, len(paths.step)) == ("cls_pred_y", 6 + 3 + 1 + 5)
    assert paths.hidden is not None
    assert paths.hidden.shape == paths.cell.shape == (15, 8)
    assert np.array_equal(paths.features, tracer.embed(answers.features))
    for learner in range(4):
        tracer.start()
        rows = np.flatnonzero((answers.learner == learner) & ~answers.test)
        for step in range(len(rows) + 1):
            here = np.flatnonzero((paths.learner == learner) & (paths.step == step))
            assert len(here) == 1
            weights, offsets = tracer.classifier()
            # float32 in another order.
            np.testing.assert_allclose(paths.weights[here[0]], weights, rtol=0, atol=1e-6)
            np.testing.assert_allclose(paths.offsets[here[0]], offsets, rtol=0, atol=1e-6)
            state = tracer.state()
            np.testing.assert_allclose(paths.hidden[here[0]], state.hidden[0, -1], rtol=0, atol=1e-6)
            np.testing.assert_allclose(paths.cell[here[0]], state.cell[0, -1], rtol=0, atol=1e-6)
            if step < len(rows):
                item = answers.item[rows[step]]
                response = int(answers.response[rows[step]])
                tracer.update(answers.features[item], answers.labels[item], response)


@pytest.mark.parametrize(
    ("name", "states", "classifiers"),
    [
        ("direct_y", True, False),
        ("static_time", False, True),
        ("fast_weight", False, True),
        ("exemplar", False, False),
    ],
)
def test_what_a_model_has_not_is_not_kept(
    name: str, states: bool, classifiers: bool, answers: Sequences
) -> None:
    paths = trace(drawn(name, answers), answers).paths
    assert (paths is not None) == (states or classifiers)
    if paths is not None:
        assert ((paths.hidden is not None), (paths.cell is not None)) == (states, states)
        assert ((paths.weights is not None), (paths.offsets is not None)) == (classifiers, classifiers)


def test_who_is_followed_can_be_told(answers: Sequences) -> None:
    both = {name: drawn(name, answers) for name in ("exemplar", "static", "dkt", "cls_pred", "cls_pred_y")}
    some = {name: both[name] for name in ("exemplar", "static", "dkt")}
    for tracers, told, wanted in (
        (both, None, "cls_pred"),
        (some, None, "dkt"),
        (some, "static", "static"),
        (both, "cls_pred_y", "cls_pred_y"),
    ):
        paths = trace(tracers, answers, follow=told).paths
        assert paths is not None
        assert paths.model == wanted
    with pytest.raises(ValueError, match=r"follow: expected a model with states .*, found 'exemplar'"):
        trace(both, answers, follow="exemplar")
    with pytest.raises(ValueError, match="follow: expected one of 'exemplar', 'static', 'dkt', found 'd'"):
        trace(some, answers, follow="d")
    with pytest.raises(ValueError, match="tracers: expected one or more, found none"):
        trace({}, answers)
    with pytest.raises(ValueError, match="tracers: expected other names than 'oracle'"):
        trace({"oracle": drawn("static", answers)}, answers)


def test_learners_who_were_seen_are_left_out(answers: Sequences) -> None:
    known = of_learners(answers)
    first, second = (drawn("static", answers, {"learners": known[k : k + 1]}) for k in (0, 3))
    assert trace({"a": first, "b": second}, answers).answers.learners == ("learner 1", "learner 2")
    assert len(trace({"a": first, "b": second}, answers, seen=True).answers) == 4
    with pytest.raises(ValueError, match="sequences: expected learners that no tracer has seen, found none"):
        trace(drawn("static", answers, {"learners": known}), answers)


def test_each_learner_has_an_average_precision(answers: Sequences, result: TracingResult) -> None:
    for phase, test in (("train", False), ("test", True)):
        found = result.of_learners(phase)
        for name, chances in result.foretold().items():
            for learner in range(4):
                rows = (answers.learner == learner) & (answers.test == test)
                if not rows.any():
                    assert np.isnan(found[name][learner])
                    continue
                wanted = score(chances[rows], answers.response[rows]).micro_ap
                assert found[name][learner] == pytest.approx(wanted, abs=1e-12)


def test_a_result_is_kept(result: TracingResult, tmp_path: Path) -> None:
    again = TracingResult.load(result.save(tmp_path / "result.npz"))
    assert again.models == result.models
    assert again.about == result.about
    for name, each in result.foretold().items():
        assert np.array_equal(again.foretold()[name], each)
    for name in ("classes", "items", "learners", "about", "images", "rankings"):
        assert getattr(again.answers, name) == getattr(result.answers, name), name
    for name in ("labels", "learner", "item", "response", "test", "seconds", "features"):
        np.testing.assert_array_equal(getattr(again.answers, name), getattr(result.answers, name), name)
    assert again.paths is not None
    for name in Paths.__dataclass_fields__:
        assert np.array_equal(getattr(again.paths, name), getattr(result.paths, name)), name
    plain = TracingResult(result.answers, result.probabilities)
    assert TracingResult.load(plain.save(tmp_path / "plain")).paths is None


def test_what_is_no_result_is_refused(result: TracingResult, tmp_path: Path) -> None:
    path = tmp_path / "result.npz"
    with pytest.raises(FileNotFoundError, match="no such file"):
        TracingResult.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a readable tracing result"):
        TracingResult.load(path)
    wrong: list[tuple[Any, str]] = [
        ({"format": 2}, "it has format 2, this version reads 1"),
        ({"format": 1, "content": {"tuple": []}}, "it holds something else"),
        ({"format": 1, "content": {"Path": {}}}, "'Path'"),
    ]
    for said, message in wrong:
        np.savez(path, tracing=np.array(json.dumps(said)))
        with pytest.raises(ValueError, match=f"not a readable tracing result: {message}"):
            TracingResult.load(path)


def test_results_without_models_are_refused(result: TracingResult) -> None:
    with pytest.raises(ValueError, match="probabilities: expected those of a model or more, found none"):
        TracingResult(result.answers, {})
    with pytest.raises(ValueError, match=r"probabilities: expected shape \(17, 3\) of a, found \(17, 2\)"):
        TracingResult(result.answers, {"a": result.probabilities["ours"][:, :2]})


def test_models_are_scored_beside_each_other(answers: Sequences, result: TracingResult) -> None:
    frame = result.frame()
    assert frame.model.tolist() == ["static", "ours", ORACLE] * 2
    assert frame.phase.tolist() == ["train"] * 3 + ["test"] * 3
    assert frame.learners.tolist() == [3] * 6
    assert frame.answers.tolist() == [11] * 3 + [6] * 3
    for _, row in frame.iterrows():
        asked = answers.test == (row.phase == "test")
        wanted = score(result.foretold()[row.model][asked], answers.response[asked])
        assert (row.micro_ap, row.macro_ap, row.ece) == (wanted.micro_ap, wanted.macro_ap, wanted.ece)
    for _, part in frame.groupby("phase"):
        static, ours, oracle = part.micro_ap
        assert oracle != static
        if oracle > static:
            np.testing.assert_allclose(part.share_of_gap, [0, (ours - static) / (oracle - static), 1])
        else:
            assert part.share_of_gap.isna().all()
    bare = TracingResult(replace(answers, truth=None), result.probabilities).frame()
    assert bare.share_of_gap.isna().all()
    assert bare.model.tolist() == ["static", "ours"] * 2
