import io
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tracing_results import made_up
from tracing_rows import study

from diptych import plots
from diptych.tracing.lessons import Lessons
from diptych.tracing.results import TracingResult


@pytest.fixture(scope="module")
def result() -> TracingResult:
    return made_up()


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    right = np.random.default_rng(0).random((3, 2, 4, 5))
    return Lessons(("random", "hardest", "expected_improvement"), (0, 1), right)


def drawn(figure: Figure) -> bytes:
    into = io.BytesIO()
    figure.savefig(into, dpi=40, format="png")
    return into.getvalue()


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))


@pytest.mark.parametrize("name", plots.TRACING_FIGURES)
def test_every_figure_is_drawn(name: str, result: TracingResult, lessons: Lessons) -> None:
    told: dict[str, Any] = {"method": "pca"} if name == "states" else {}
    shown = {"lessons": lessons, "study": study()}.get(name, result)
    figure = plots.tracing_figure(name, shown, **told)
    assert drawn(figure).startswith(b"\x89PNG")
    assert all(ax.axison is False or ax.has_data() or ax.texts for ax in figure.axes)


def test_accuracy_is_that_of_the_answers(result: TracingResult) -> None:
    figure = plots.tracing_figure("accuracy", result)
    ax = figure.axes[0]
    answers = result.answers
    right = answers.response == answers.label
    (dots,) = [line for line in ax.lines if line.get_marker() == "o"]
    # Six steps are blocks of their own, and the test is the last.
    steps = [right[(answers.step == step)].mean() for step in range(6)]
    np.testing.assert_allclose(dots.get_ydata(), [*steps, right[answers.test].mean()])
    (line,) = [line for line in ax.lines if line.get_label() == "a_$model"]
    own = result.probabilities["a_$model"][np.arange(len(right)), answers.label]
    np.testing.assert_allclose(line.get_ydata(), [own[answers.step == step].mean() for step in range(6)])
    assert "oracle" in texts(figure)
    one = plots.tracing_figure("accuracy", result, models=["static"])
    assert "oracle" not in texts(one)


def test_confusion_is_of_the_answers(result: TracingResult) -> None:
    figure = plots.tracing_figure("confusion", result, model="static")
    answers = result.answers
    tables = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert len(tables) == 8
    for column, rows in ((0, answers.step < 2), (3, answers.test)):
        for true in range(4):
            asked = rows & (answers.label == true)
            given = np.bincount(answers.response[asked], minlength=4) / asked.sum()
            np.testing.assert_allclose(tables[column][true], given)
            expected = result.probabilities["static"][asked].mean(0)
            np.testing.assert_allclose(tables[4 + column][true], expected, rtol=1e-6)


def test_those_who_know_the_truth_lie_on_the_line() -> None:
    """Answers drawn from the oracle's own probabilities are as frequent as it says."""
    draw = np.random.default_rng(0)
    many = made_up(learners=600)
    truth = many.answers.truth
    assert truth is not None
    response = (truth.cumsum(1) < draw.random((len(truth), 1))).sum(1)
    many = replace(many, answers=replace(many.answers, response=response))
    figure = plots.tracing_figure("calibration", many, models=["oracle"])
    (line,) = [each for each in figure.axes[0].lines if each.get_label() == "oracle"]
    # 14,400 pairs in ten bins: four standard errors of a share of 1/2 of the least, some 150.
    np.testing.assert_allclose(line.get_ydata(), line.get_xdata(), rtol=0, atol=0.16)
    assert len(line.get_xdata()) == 10


def test_learners_without_answers_neither_gain_nor_lose(result: TracingResult) -> None:
    steps = np.flatnonzero(~(result.answers.test & (result.answers.learner < 3)))
    kept = {name: getattr(result.answers, name)[steps] for name in ("learner", "item", "response", "test")}
    answers = replace(result.answers, **kept, truth=None, rankings=None, seconds=None)
    fewer = replace(
        result, answers=answers, probabilities={name: p[steps] for name, p in result.probabilities.items()}
    )
    found = fewer.of_learners("test")
    there = np.isfinite(found["static"])
    assert 0 < there.sum() < len(there)
    wins = (found["a_$model"] > found["static"])[there].mean()
    assert f"better for {100 * wins:.0f} %" in texts(plots.tracing_figure("learners", fewer))


def test_learners_who_gain_are_counted(result: TracingResult) -> None:
    found = result.of_learners("test")
    figure = plots.tracing_figure("learners", result)
    wins = (found["a_$model"] > found["static"]).mean()
    assert f"better for {100 * wins:.0f} %" in texts(figure)
    points = figure.axes[2].collections[0].get_offsets()
    np.testing.assert_allclose(points, np.column_stack([found["static"], found["a_$model"]]))


def test_regions_are_those_of_the_classifier() -> None:
    result = made_up(classes=3)
    paths = result.paths
    assert paths is not None
    assert paths.weights is not None
    assert paths.offsets is not None
    figure = plots.tracing_figure("subspaces", result, learner=2)
    assert len(figure.axes) == 5
    picture = figure.axes[0].images[0]
    low, high, bottom, top = picture.get_extent()
    mean = paths.features.mean(0, dtype=float)
    # The axes span the means of three classes: each of these lies where the picture has it.
    state = np.flatnonzero((paths.learner == 2) & (paths.step == 0))[0]
    table = np.asarray(picture.get_array())
    for each in range(3):
        members = result.answers.labels == each
        centre = paths.features[members].mean(0, dtype=float)
        x, y = figure.axes[0].collections[-3 + each].get_offsets().mean(0)
        column = int((x - low) / (high - low) * (table.shape[1] - 1) + 0.5)
        row = int((y - bottom) / (top - bottom) * (table.shape[0] - 1) + 0.5)
        scores = paths.weights[state] @ centre + paths.offsets[state]
        assert table[row, column] == scores.argmax()
    assert mean.shape == (3,)


def test_paths_of_learners_can_be_chosen(result: TracingResult) -> None:
    figure = plots.tracing_figure("states", result, learners=[4, 1], method="pca")
    lines = [line for line in figure.axes[0].lines if str(line.get_label()).startswith("learner")]
    assert [line.get_label() for line in lines] == ["learner $learner_4", "learner $learner_1"]
    assert all(len(line.get_xdata()) == 7 for line in lines)
    assert "principal components" in texts(figure)


def test_umap_is_taken_where_it_is(result: TracingResult, monkeypatch: pytest.MonkeyPatch) -> None:
    class UMAP:
        def __init__(self, **told: Any) -> None:
            self.told = told

        def fit_transform(self, states: np.ndarray) -> np.ndarray:
            assert self.told == {"n_neighbors": 15, "random_state": 0}
            return states[:, :2]

    stand_in = ModuleType("umap")
    stand_in.UMAP = UMAP  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", stand_in)
    assert "UMAP" in texts(plots.tracing_figure("states", result))
    assert "UMAP" not in texts(plots.tracing_figure("states", result, method="pca"))
    monkeypatch.setitem(sys.modules, "umap", None)
    assert "principal components" in texts(plots.tracing_figure("states", result))
    with pytest.raises(ModuleNotFoundError, match="method='umap' needs umap-learn"):
        plots.tracing_figure("states", result, method="umap")


def test_one_learner_is_told_step_by_step(result: TracingResult) -> None:
    figure = plots.tracing_figure("learner", result, learner=3, model="oracle")
    rows = result.answers.learner == 3
    truth = result.answers.truth
    assert truth is not None
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), truth[rows].T)
    assert "$learner_3" in texts(figure)
    right = result.answers.response[rows] == result.answers.label[rows]
    hits, misses = figure.axes[0].collections[:2]
    assert (len(hits.get_offsets()), len(misses.get_offsets())) == (right.sum(), (~right).sum())


@pytest.mark.parametrize("told", [{"tests": 0}, {"steps": 1}, {"classes": 2}, {"learners": 1}])
def test_small_results_are_drawn(told: dict[str, int]) -> None:
    small = made_up(**told)
    for name in plots.TRACING_FIGURES:
        if name not in ("lessons", "study"):
            assert plots.tracing_figure(name, small).axes


def test_bad_figures_are_refused(result: TracingResult, lessons: Lessons) -> None:
    bare = TracingResult(result.answers, {"a": result.probabilities["a_$model"]})
    wrong: list[tuple[Any, str, dict[str, Any], str]] = [
        (result, "main_2_3", {}, "name: expected one of 'accuracy', .*, found 'main_2_3'"),
        (result, "accuracy", {"models": []}, "models: expected some of static, .*, found"),
        (result, "accuracy", {"models": "static"}, "models: expected some of static, .*, found 'static'"),
        (result, "calibration", {"models": ["b"]}, "models: expected one of 'static', .*, found 'b'"),
        (result, "confusion", {"model": "b"}, "model: expected one of 'static', .*, found 'b'"),
        (result, "learner", {"learner": 5}, "learner: expected 0 to 4, found 5"),
        (result, "states", {"learners": [9]}, "learners: expected 0 to 4, found 9"),
        (result, "states", {"method": "tsne"}, "method: expected one of None, 'umap', 'pca', found 'tsne'"),
        (bare, "states", {}, "result: expected one with the states of a model, found none"),
        (bare, "subspaces", {}, "result: expected one with the linear classifiers of a model, found none"),
        (bare, "learners", {}, "result: expected the model 'static' to compare with, found none"),
    ]
    for each, name, told, message in wrong:
        with pytest.raises(ValueError, match=message):
            plots.tracing_figure(name, each, **told)
    with pytest.raises(TypeError, match="result: expected TracingResult for 'accuracy', found Lessons"):
        plots.tracing_figure("accuracy", lessons)
    with pytest.raises(TypeError, match="result: expected Lessons for 'lessons', found TracingResult"):
        plots.tracing_figure("lessons", result)
    with pytest.raises(TypeError, match=r"options: expected those of 'accuracy', found \['color'\]"):
        plots.tracing_figure("accuracy", result, color="red")


def test_a_study_has_a_panel_for_each_kind_and_phase() -> None:
    figure = plots.tracing_figure("study", study(kinds=("gradient", "a_$kind")))
    assert len(figure.axes) == 4
    first = figure.axes[0]
    models = ["static", "cls_pred_y", "exemplar", "dkt", "fast_weight"]
    assert [label.get_text() for label in first.get_yticklabels()] == models
    means = [dots.get_offsets()[0, 0] for dots in first.collections[1::2]]
    expected = [study().above("gradient", each, "static", "train").mean for each in models]
    np.testing.assert_allclose(means, expected, atol=1e-12)
    assert "a_$kind learners, test" in texts(figure)
    assert "no such models" in texts(plots.tracing_figure("study", study(), table="widths"))
    with pytest.raises(ValueError, match="table: expected one of"):
        plots.tracing_figure("study", study(), table="all")
