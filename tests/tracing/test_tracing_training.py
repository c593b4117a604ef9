import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import random_sequences

pytest.importorskip("lightning")

from diptych.tracing.batches import pad
from diptych.tracing.extractor import extractor_for, inputs_of
from diptych.tracing.models import MODELS, Static, step_by_step
from diptych.tracing.schedule import Schedule
from diptych.tracing.sequences import Sequences
from diptych.tracing.simulate import simulate
from diptych.tracing.splits import Split, split
from diptych.tracing.tracer import Tracer
from diptych.tracing.train import fit
from diptych.tracing.training import TracingTask, loss_of

SMALL: dict[str, Any] = {
    "model": "cls_pred_y",
    "epochs": 3,
    "batch_size": 4,
    "progress": False,
    "hidden": 8,
    "layers": 1,
}


@pytest.fixture(scope="module")
def answers() -> Sequences:
    return simulate("gradient", n_learners=12, n_train=6, n_test=3, seed=0, n_images=20, n_classes=3)


@pytest.fixture(scope="module")
def undisturbed(answers: Sequences) -> Tracer:
    return fit(answers, **SMALL)


def weights(tracer: Tracer) -> list[torch.Tensor]:
    return [*tracer.model.state_dict().values(), *tracer.extractor.state_dict().values()]


def same(first: Tracer, second: Tracer) -> bool:
    pairs = zip(weights(first), weights(second), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and first.history == second.history


def stopped_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have training fail in the second step of an epoch."""
    step = TracingTask.training_step

    def stop(task: TracingTask, batch: Any, index: int) -> torch.Tensor:
        if task.current_epoch == epoch and index == 1:
            raise RuntimeError("stopped")
        return step(task, batch, index)

    monkeypatch.setattr(TracingTask, "training_step", stop)


def rising(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each epoch's validation tell a higher loss than the one before."""
    tell = TracingTask.log_dict

    def told(task: TracingTask, said: dict[str, Any]) -> None:
        tell(task, {**said, "validation_loss": torch.tensor(float(task.current_epoch))})

    monkeypatch.setattr(TracingTask, "log_dict", told)


def task_of(answers: Sequences, model: str = "static", **schedule: Any) -> TracingTask:
    torch.manual_seed(0)
    extractor = extractor_for(answers)
    drawn = MODELS[model](len(answers.classes), extractor.dimension)
    inputs = inputs_of(answers, extractor)
    asked = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "extractor_rate": 1e-5, "patience": 9}
    plan = Schedule(**{**asked, "seed": 0, **schedule})
    return TracingTask(drawn, extractor, inputs, pad(answers), split(answers), plan)


def test_a_seed_gives_the_same_tracer(answers: Sequences, undisturbed: Tracer) -> None:
    assert same(fit(answers, **SMALL), undisturbed)
    assert not same(fit(answers, **SMALL, seed=1), undisturbed)
    assert [each.epoch for each in undisturbed.history] == [1, 2, 3]
    assert not undisturbed.model.training


def test_another_split_learns_from_others(answers: Sequences, undisturbed: Tracer) -> None:
    other = fit(answers, **SMALL, split=1)
    assert not same(other, undisturbed)
    parts = split(answers, 1)
    assert np.flatnonzero(other.seen(answers)).tolist() == sorted([*parts.train, *parts.validation])
    given = fit(answers, **SMALL, split=parts)
    assert same(given, other)


def test_the_loss_is_the_mean_over_all_steps_of_all_learners() -> None:
    sequences = random_sequences([5, 1, 0], [0, 4, 2])
    batch = pad(sequences).batch(torch.from_numpy(sequences.features))
    model = Static(3, 4)
    answers = step_by_step(model, batch)
    chosen = [
        answers[learner, step, response]
        for learner, step, response in zip(sequences.learner, sequences.step, sequences.response, strict=True)
    ]
    total, count = loss_of(model, batch)
    assert int(count) == 12
    # Twelve numbers of float32 in another order.
    torch.testing.assert_close(total / count, -torch.stack(chosen).mean(), rtol=1e-6, atol=0)


def test_what_an_epoch_is_said_to_come_to_it_came_to(answers: Sequences) -> None:
    """At a rate at which nothing is learned."""
    tracer = fit(answers, **{**SMALL, "epochs": 1}, learning_rate=1e-30)
    chances = np.log(tracer.probabilities(answers)[np.arange(len(answers.response)), answers.response])
    parts = split(answers)
    for learners, said in ((parts.train, "loss"), (parts.validation, "validation_loss")):
        found = -chances[np.isin(answers.learner, learners)].mean()
        # Sums of some hundred float32 in another order.
        assert getattr(tracer.history[0], said) == pytest.approx(found, rel=1e-5)


def test_every_epoch_sees_every_learner_once_in_an_order_of_its_own(answers: Sequences) -> None:
    task = task_of(answers)
    parts, orders = split(answers), []
    for epoch in range(4):
        task._train.epoch = epoch
        seen = [tuple(row) for batch in task._train for row in batch.items.tolist()]
        orders.append(seen)
        assert len(list(task._train)) == len(task._train) == 2
    own = {tuple(row) for row in pad(answers).items[parts.train].tolist()}
    assert all(set(order) == own and len(order) == len(own) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_rates_are_those_of_the_parts(answers: Sequences) -> None:
    extractor = extractor_for(answers, "head", dimension=8)
    plan = Schedule(1, 4, 1e-3, 1e-5, 9, 0)
    inputs = inputs_of(answers, extractor)
    task = TracingTask(Static(3, 8), extractor, inputs, pad(answers), split(answers), plan)
    groups = task.configure_optimizers().param_groups
    assert [group["lr"] for group in groups] == [1e-3, 1e-5]
    assert sum(len(group["params"]) for group in groups) == len(list(task.parameters()))
    assert len(task_of(answers).configure_optimizers().param_groups) == 1


def test_a_head_on_known_features_is_learned(answers: Sequences) -> None:
    tracer = fit(answers, **{**SMALL, "epochs": 1}, extractor="head", dimension=8)
    fresh = extractor_for(answers, "head", dimension=8)
    assert tracer.extractor.dimension == 8
    assert not torch.equal(tracer.extractor.head[0].weight, fresh.head[0].weight)


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_stopped_training_goes_on_to_the_same_bits(
    epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Sequences, undisturbed: Tracer
) -> None:
    out = tmp_path / "fit"
    with monkeypatch.context() as broken:
        stopped_in(epoch, broken)
        with pytest.raises(RuntimeError, match="stopped"):
            fit(answers, **SMALL, out=out)
    with pytest.raises(FileExistsError, match="holds an unfinished training"):
        fit(answers, **SMALL, out=out)
    assert same(fit(answers, **SMALL, out=out, resume=True), undisturbed)


def test_the_folder_holds_the_tracer_and_its_history(
    tmp_path: Path, answers: Sequences, undisturbed: Tracer
) -> None:
    out = tmp_path / "fit"
    assert same(fit(answers, **SMALL, out=out), undisturbed)
    assert same(Tracer.load(out / "tracer.safetensors"), undisturbed)
    with open(out / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["validation_loss"]) for row in rows] == pytest.approx(
        [each.validation_loss for each in undisturbed.history],
        rel=5e-6,  # six digits are written
    )
    with pytest.raises(FileExistsError, match="holds a finished training"):
        fit(answers, **SMALL, out=out)
    assert same(fit(answers, **SMALL, out=out, resume=True), undisturbed)
    with pytest.raises(ValueError, match=r"holds another training, options is .*8.* there and .*4.* here"):
        fit(answers, **{**SMALL, "hidden": 4}, out=out, resume=True)
    others = answers.of(np.arange(11))
    with pytest.raises(ValueError, match="holds another training, sequences is"):
        fit(others, **SMALL, out=out, resume=True)


def test_a_loss_that_is_not_finite_ends_training_and_keeps_the_last_good_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Sequences, undisturbed: Tracer
) -> None:
    out, step = tmp_path / "fit", TracingTask.training_step

    def spoiled(task: TracingTask, batch: Any, index: int) -> torch.Tensor:
        if task.current_epoch == 1 and index == 1:
            with torch.no_grad():
                task.model.classifier[1].bias.fill_(float("nan"))
        return step(task, batch, index)

    with monkeypatch.context() as broken:
        broken.setattr(TracingTask, "training_step", spoiled)
        with pytest.raises(FloatingPointError, match=r"found nan in step 4 of epoch 2; .*last\.ckpt"):
            fit(answers, **SMALL, out=out)
        with pytest.raises(FloatingPointError, match=r"found nan in step 4 of epoch 2$"):
            fit(answers, **SMALL)
    assert same(fit(answers, **SMALL, out=out, resume=True), undisturbed)


def test_waiting_for_a_lower_loss_gives_the_best_epochs_tracer(
    monkeypatch: pytest.MonkeyPatch, answers: Sequences
) -> None:
    """The validation's loss is made to rise from the second epoch on."""
    first = fit(answers, **{**SMALL, "epochs": 1})
    rising(monkeypatch)
    tracer = fit(answers, **{**SMALL, "epochs": 9}, patience=2)
    assert [each.validation_loss for each in tracer.history] == [0, 1, 2]
    assert all(torch.equal(a, b) for a, b in zip(weights(tracer), weights(first), strict=True))


def test_the_best_weights_outlive_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Sequences
) -> None:
    rising(monkeypatch)
    with monkeypatch.context() as broken:
        stopped_in(2, broken)
        with pytest.raises(RuntimeError, match="stopped"):
            fit(answers, **SMALL, out=tmp_path / "fit")
    tracer = fit(answers, **SMALL, out=tmp_path / "fit", resume=True)
    monkeypatch.undo()
    first = fit(answers, **{**SMALL, "epochs": 1})
    assert all(torch.equal(a, b) for a, b in zip(weights(tracer), weights(first), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_a_static_model_learns_what_static_learners_know(seed: int) -> None:
    """It ends nearer to the true probabilities than to a guess."""
    drawn = simulate("static", n_learners=30, n_train=10, n_test=5, seed=seed, n_classes=3)
    tracer = fit(drawn, "static", epochs=40, batch_size=30, learning_rate=0.1, progress=False)
    assert drawn.truth is not None
    guess = np.abs(1 / 3 - drawn.truth).mean()
    assert np.abs(tracer.probabilities(drawn) - drawn.truth).mean() < guess / 3


def test_lightning_says_nothing_and_a_bar_is_shown(
    capfd: pytest.CaptureFixture[str], impatient: None, monkeypatch: pytest.MonkeyPatch, answers: Sequences
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(answers, **{**SMALL, "epochs": 1})
    assert [str(each.message) for each in caught] == []
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    fit(answers, **{**SMALL, "epochs": 1, "progress": True})
    told = capfd.readouterr().err
    assert "training" in told
    assert "ETA" in told


def own(*parts: list[Any]) -> Split:
    """A split as somebody makes it by hand."""
    return Split(*map(np.array, parts))


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"model": "oracle"}, ValueError, "model: expected one of 'gt_label'"),
        ({"epochs": 0}, ValueError, "epochs: expected 1 to"),
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 to"),
        ({"patience": 0}, ValueError, "patience: expected 1 to"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an integer"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate: expected a number above 0"),
        ({"extractor_rate": 0.0}, ValueError, "extractor_rate: expected a number above 0"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
        ({"split": -1}, ValueError, "number: expected 0 to"),
        ({"split": own([0, 1], [], [2])}, ValueError, "split: expected learners in validation, found shape"),
        ({"split": own([0, 1], [12], [])}, ValueError, "split: expected learners 0 to 11, found 0 to 12"),
        ({"split": own([0, 1], [2], [1])}, ValueError, "split: expected each learner once, found one in two"),
        ({"split": own([0, 1], [2.5], [])}, TypeError, "split: expected whole numbers in validation, found"),
        ({"device": "abacus"}, ValueError, "device: expected one of None, 'cpu', 'cuda'"),
        ({"extractor": "alexnet"}, ValueError, "extractor: expected one of"),
        ({"resume": True}, ValueError, "resume: expected out beside it"),
        ({"hidden": 0}, ValueError, "hidden: expected 1 to"),
        ({"heads": 2}, TypeError, "options: expected those of cls_pred_y, found .*heads"),
        ({"seconds": True}, ValueError, "seconds: expected sequences with response times, found none"),
    ],
)
def test_bad_arguments_are_refused(
    changed: dict[str, Any], kind: type[Exception], message: str, answers: Sequences
) -> None:
    with pytest.raises(kind, match=message):
        fit(answers, **{**SMALL, **changed})


def test_a_split_of_lists_is_one_of_arrays(answers: Sequences) -> None:
    parts = [0, 1], [2], []
    listed, arrays = (fit(answers, **SMALL, split=each) for each in (Split(*parts), own(*parts)))
    assert listed.history == arrays.history


def test_too_few_learners_are_refused(answers: Sequences) -> None:
    with pytest.raises(ValueError, match="learners: expected at least 3, one for each part, found 2"):
        fit(answers.of(np.arange(2)), **SMALL)


def test_a_gpu_that_is_not_there_is_missed_in_words(answers: Sequences) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="device: expected a GPU for 'cuda', found none"):
        fit(answers, **SMALL, device="cuda")
