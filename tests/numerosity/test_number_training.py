import csv
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning")

from diptych._lightning import SafeCheckpointIO
from diptych.numerosity import training
from diptych.numerosity.models import NumberNet
from diptych.numerosity.train import train
from diptych.numerosity.training import ActionTask, Sequences

OPTIONS: dict[str, Any] = {
    "dataset": "A",
    "stem": "random",
    "size": 76,
    "epochs": 3,
    "batches": 2,
    "pairs": 6,
    "validation": 1,
    "progress": False,
}


def same(first: NumberNet, second: NumberNet) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and first.history == second.history


@pytest.fixture(scope="module")
def undisturbed() -> NumberNet:
    return train(**OPTIONS)


def stopped_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have training fail in the second step of an epoch."""
    step = ActionTask.training_step

    def stop(task: ActionTask, batch: Any, index: int) -> torch.Tensor:
        if task.current_epoch == epoch and index == 1:
            raise RuntimeError("stopped")
        return step(task, batch, index)

    monkeypatch.setattr(ActionTask, "training_step", stop)


def test_a_seed_gives_the_same_network(undisturbed: NumberNet) -> None:
    assert same(train(**OPTIONS), undisturbed)
    assert not same(train(**{**OPTIONS, "seed": 1}), undisturbed)


def test_the_network_knows_what_it_was_trained_on(undisturbed: NumberNet) -> None:
    assert [each.epoch for each in undisturbed.history] == [1, 2, 3]
    assert undisturbed.schedule["dataset"] == "A"
    assert undisturbed.schedule["pairs"] == 6
    assert undisturbed.architecture.stem == "random"
    assert not undisturbed.training


def test_only_what_is_not_frozen_is_learned(undisturbed: NumberNet) -> None:
    fresh = NumberNet(undisturbed.architecture)
    assert torch.equal(fresh.stem[0].weight, undisturbed.stem[0].weight)
    assert not torch.equal(fresh.embedding[0].weight, undisturbed.embedding[0].weight)
    learned = train(**{**OPTIONS, "stem": "trained", "epochs": 1})
    assert not torch.equal(NumberNet(learned.architecture).stem[0].weight, learned.stem[0].weight)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_learns_to_tell_none_from_one(seed: int) -> None:
    """Guessing among what is legal costs more than log 2 = 0.69 nats."""
    options = {"size": 39, "limit": 1, "epochs": 5, "batches": 4, "pairs": 24, "learning_rate": 1e-3}
    assert train(**{**OPTIONS, **options, "seed": seed}).history[-1].loss < 0.6


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_stopped_training_goes_on_to_the_same_bits(
    epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: NumberNet
) -> None:
    out = tmp_path / "net"
    with monkeypatch.context() as broken:
        stopped_in(epoch, broken)
        with pytest.raises(RuntimeError, match="stopped"):
            train(**OPTIONS, out=out)
    with pytest.raises(FileExistsError, match="holds an unfinished training"):
        train(**OPTIONS, out=out)
    assert same(train(**OPTIONS, out=out, resume=True), undisturbed)


def test_ctrl_c_reaches_the_caller_and_leaves_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: NumberNet
) -> None:
    heard, step = signal.getsignal(signal.SIGINT), ActionTask.training_step

    def pressed(task: ActionTask, batch: Any, index: int) -> torch.Tensor:
        if task.current_epoch == 1:
            raise KeyboardInterrupt
        return step(task, batch, index)

    with monkeypatch.context() as broken:
        broken.setattr(ActionTask, "training_step", pressed)
        with pytest.raises(KeyboardInterrupt):
            train(**OPTIONS, out=tmp_path / "net")
    assert signal.getsignal(signal.SIGINT) is heard
    assert same(train(**OPTIONS, out=tmp_path / "net", resume=True), undisturbed)


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path, undisturbed: NumberNet) -> None:
    out = tmp_path / "net"
    program = f"from diptych.numerosity.train import train; train(**{OPTIONS!r}, out={str(out)!r})"
    child = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not (out / "last.ckpt").exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (out / "last.ckpt").exists()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert same(train(**OPTIONS, out=out, resume=True), train(**OPTIONS))
    finally:
        torch.set_num_threads(threads)


def test_the_folder_holds_the_network_and_its_history(tmp_path: Path, undisturbed: NumberNet) -> None:
    out = tmp_path / "net"
    assert same(train(**OPTIONS, out=out), undisturbed)
    assert same(NumberNet.load(out / "net.safetensors"), undisturbed)
    with open(out / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == pytest.approx(
        [each.loss for each in undisturbed.history],
        rel=5e-6,  # six digits are written
    )
    with pytest.raises(FileExistsError, match="holds a finished training"):
        train(**OPTIONS, out=out)
    assert same(train(**OPTIONS, out=out, resume=True), undisturbed)
    with pytest.raises(ValueError, match=r"holds another training, seed is 0 there and 5 here"):
        train(**{**OPTIONS, "seed": 5}, out=out, resume=True)


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "net"
    with monkeypatch.context() as broken:
        stopped_in(1, broken)
        with pytest.raises(RuntimeError, match="stopped"):
            train(**OPTIONS, out=out)
    path = out / "last.ckpt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"last\.ckpt: a damaged checkpoint, remove it"):
        train(**OPTIONS, out=out, resume=True)


def test_checkpoints_are_not_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save({"state_dict": Trap()}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="a damaged checkpoint"):
        SafeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "sprung").exists()


def test_a_loss_that_is_not_finite_ends_training_and_keeps_the_last_good_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: NumberNet
) -> None:
    out = tmp_path / "net"
    step = ActionTask.training_step

    def spoiled(task: ActionTask, batch: Any, index: int) -> torch.Tensor:
        if task.current_epoch == 1 and index == 1:
            with torch.no_grad():
                task.net.position[0].bias.fill_(float("nan"))
        return step(task, batch, index)

    with monkeypatch.context() as broken:
        broken.setattr(ActionTask, "training_step", spoiled)
        with pytest.raises(FloatingPointError, match=r"found nan in step 4 of epoch 2; .*last\.ckpt"):
            train(**OPTIONS, out=out)
    assert same(train(**OPTIONS, out=out, resume=True), undisturbed)
    with monkeypatch.context() as broken:
        broken.setattr(ActionTask, "training_step", spoiled)
        with pytest.raises(FloatingPointError, match=r"found nan in step 4 of epoch 2$"):
            train(**OPTIONS)


def test_waiting_for_a_lower_loss_gives_the_best_epochs_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The validation's loss is made to rise from the second epoch on."""
    loss = ActionTask._loss

    def rising(task: ActionTask, batch: Any, kind: str) -> torch.Tensor:
        found = loss(task, batch, kind)
        if kind == "validation":
            task.log("validation_loss_made", float(task.current_epoch), batch_size=1)
        return found

    monkeypatch.setattr(ActionTask, "_loss", rising)
    monkeypatch.setattr(training, "WATCHED", "validation_loss_made")
    net = train(**{**OPTIONS, "epochs": 6}, patience=2)
    assert len(net.history) == 3
    monkeypatch.undo()
    first = train(**{**OPTIONS, "epochs": 1})
    assert all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), first.state_dict().values(), strict=True)
    )


def test_no_sequence_comes_twice() -> None:
    schedule = training.Schedule("A", 3, 2, 4, 6, 1e-4, 0)
    device = torch.device("cpu")
    shares = [Sequences(schedule, 40, rank, 2, 4, device) for rank in (0, 1)]
    seen = [drawn(each) for share in shares for each in share]
    assert len(set(seen)) == 8
    assert {drawn(each) for each in Sequences(schedule, 40, 0, 1, 8, device)} == set(seen)


def drawn(batch: training.Batch) -> bytes:
    scenes, actions = batch
    return scenes.numpy().tobytes() + actions.numpy().tobytes()


def test_a_bar_is_shown(
    impatient: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    train(**{**OPTIONS, "epochs": 1, "progress": True})
    told = capsys.readouterr().err
    assert "training" in told
    assert "ETA" in told


def test_lightning_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(**{**OPTIONS, "epochs": 1})
    assert [str(each.message) for each in caught] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"limit": 0}, ValueError, "limit: expected 1 to"),
        ({"epochs": 0}, ValueError, "epochs: expected 1 to"),
        ({"batches": 0}, ValueError, "batches: expected 1 to"),
        ({"pairs": 0}, ValueError, "pairs: expected 1 to"),
        ({"validation": 0}, ValueError, "validation: expected 1 to"),
        ({"patience": 0}, ValueError, "patience: expected 1 to"),
        ({"devices": 0}, ValueError, "devices: expected 1 to"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an integer"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate: expected a number above 0"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
        ({"precision": "16"}, ValueError, "precision: expected one of '32-true', 'bf16-mixed'"),
        ({"device": "abacus"}, ValueError, "device: expected one of None, 'cpu', 'cuda'"),
        ({"dataset": "C"}, ValueError, "dataset: expected"),
        ({"dimension": 0}, ValueError, "dimension: expected 1 to 256"),
        ({"stem": "alexnet"}, ValueError, "stem: expected one of"),
        ({"resume": True}, ValueError, "resume: expected out beside it"),
    ],
)
def test_bad_arguments_are_refused(changed: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        train(**{**OPTIONS, **changed})


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").touch()
    with pytest.raises(FileExistsError, match="holds something else than a training"):
        train(**OPTIONS, out=tmp_path)
    with pytest.raises(FileExistsError, match="expected a folder, found a file"):
        train(**OPTIONS, out=tmp_path / "photo.png")


def test_a_gpu_that_is_not_there_is_missed_in_words() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="device: expected a GPU for 'cuda', found none"):
        train(**OPTIONS, device="cuda")


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Each sees sequences of its own, so the network is another one than that of one process."""
    options = {**OPTIONS, "epochs": 1, "batches": 1}
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from diptych.numerosity.train import train\n"
        f"train(**{options!r}, out=sys.argv[1], device='cpu', devices=2)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, program, tmp_path / "net"], env=environment, check=True, timeout=120)
    net, alone = NumberNet.load(tmp_path / "net" / "net.safetensors"), train(**options)
    assert [each.epoch for each in net.history] == [1]
    assert not same(net, alone)
    # A step of Adam moves each weight by at most the learning rate, wherever it begins.
    assert (net.position[0].weight - alone.position[0].weight).abs().max() <= 2 * 1e-4 * 1.01
