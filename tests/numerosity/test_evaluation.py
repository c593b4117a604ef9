from pathlib import Path

import numpy as np
import pytest
import torch
from planted_line import covariates, planted

from diptych.numerosity import Architecture, Evaluation, NumberNet, SceneLaw, evaluate, scenes
from diptych.numerosity.evaluate import embed_scenes

SMALL = SceneLaw(sides=(3, 3), clearance=1)
OPTIONS = {"highest": 4, "each": 3, "actions": 20, "limit": 4, "progress": False}


@pytest.fixture(scope="module")
def net() -> NumberNet:
    return NumberNet(Architecture(size=39)).eval()


@pytest.fixture(scope="module")
def found(net: NumberNet) -> Evaluation:
    return evaluate(net, SMALL, **OPTIONS)


def test_every_count_is_shown(found: Evaluation) -> None:
    assert np.bincount(found.counts).tolist() == [3] * 5
    assert found.embeddings.shape == (15, 2)
    assert found.covariates["summed_area"].tolist() == (9 * found.counts).tolist()


def test_embeddings_are_those_of_the_scenes(net: NumberNet, found: Evaluation) -> None:
    drawn = scenes(found.counts, SMALL, 39, 0)
    with torch.no_grad():
        wanted = net.embed(drawn.images)
    # Batches of other sizes are summed in another order.
    np.testing.assert_allclose(found.embeddings, wanted.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 15])
def test_batches_change_nothing(net: NumberNet, found: Evaluation, batch_size: int) -> None:
    embeddings, measured = embed_scenes(net, found.counts, SMALL, batch_size=batch_size, progress=False)
    np.testing.assert_allclose(embeddings, found.embeddings, rtol=1e-4, atol=1e-5)
    assert measured.equals(found.covariates)


def test_actions_are_named_as_the_classifier_names_them(net: NumberNet, found: Evaluation) -> None:
    before, after = found.counts[found.pairs].T
    assert (np.sign(after - before) == np.array([1, -1, 0])[found.actions]).all()
    sides = (torch.from_numpy(found.embeddings[rows]) for rows in found.pairs.T)
    assert net.classify(*sides).argmax(1).tolist() == found.predicted.tolist()
    assert found.accuracy == np.mean([a == b for a, b in zip(found.actions, found.predicted, strict=True)])


def test_imprecise_actions_move_several_objects(net: NumberNet) -> None:
    law = SceneLaw(sides=(3, 3), clearance=1, amounts=(0, 3))
    found = evaluate(net, law, **OPTIONS)
    moved = np.abs(np.diff(found.counts[found.pairs], axis=1))
    assert moved.max() > 1


def test_a_seed_gives_the_same_evaluation(net: NumberNet, found: Evaluation) -> None:
    again, other = (evaluate(net, SMALL, **OPTIONS, seed=seed) for seed in (0, 1))
    assert np.array_equal(again.embeddings, found.embeddings)
    assert np.array_equal(again.pairs, found.pairs)
    assert not np.array_equal(other.embeddings, found.embeddings)


def test_the_network_is_left_in_evaluation_mode_without_gradients(net: NumberNet) -> None:
    net.train()
    evaluate(net, SMALL, **OPTIONS)
    assert not net.training
    assert all(each.grad is None for each in net.parameters())


@pytest.mark.parametrize("parts", ["all", "no covariates", "no pairs"])
def test_an_evaluation_comes_back_from_its_file(tmp_path: Path, found: Evaluation, parts: str) -> None:
    given = {
        "all": found,
        "no covariates": Evaluation(
            found.embeddings, found.counts, None, found.pairs, found.actions, found.predicted, {}
        ),
        "no pairs": Evaluation(found.embeddings, found.counts, found.covariates, None, None, None, {"a": 1}),
    }[parts]
    back = Evaluation.load(given.save(tmp_path / "evaluation.npz"))
    for name in ("embeddings", "counts", "pairs", "actions", "predicted"):
        wanted, read = getattr(given, name), getattr(back, name)
        assert (read is None) == (wanted is None)
        if wanted is not None:
            assert np.array_equal(read, wanted)
            assert read.dtype == wanted.dtype
    assert back.about == given.about
    assert (back.covariates is None) == (given.covariates is None)
    if given.covariates is not None:
        assert back.covariates.equals(given.covariates)


@pytest.mark.parametrize("name", ["evaluation", "evaluation.dat"])
def test_an_evaluation_is_saved_under_any_name(tmp_path: Path, found: Evaluation, name: str) -> None:
    back = Evaluation.load(found.save(tmp_path / name))
    assert np.array_equal(back.embeddings, found.embeddings)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Evaluation.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(2))
    with pytest.raises(ValueError, match=r"other\.npz: not a readable evaluation"):
        Evaluation.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz: not a readable evaluation"):
        Evaluation.load(tmp_path / "text.npz")


def test_an_evaluation_is_analyzed_whole() -> None:
    import pandas

    embeddings, counts = planted(each=8)
    pairs = np.array([[0, 8], [8, 0], [1, 2]])
    actions = np.array([0, 1, 2])
    frame = pandas.DataFrame(covariates(counts))
    given = Evaluation(embeddings.astype(np.float32), counts, frame, pairs, actions, actions, {})
    line = given.analyze(min_cluster_size=4, progress=False, name="planted")
    assert line.spearman == pytest.approx(1, abs=1e-6)
    assert line.action_error.overall[0] == 0
    assert line.covariates is not None
    assert line.distances is not None
    assert line.name == "planted"


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"highest": 0}, ValueError, "highest: expected 1 to"),
        ({"each": 1}, ValueError, "each: expected 2 to"),
        ({"actions": 0}, ValueError, "actions: expected 1 to"),
        ({"limit": 5}, ValueError, "limit: expected 1 to 4, found 5"),
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 to"),
        ({"batch_size": 1.5}, TypeError, "batch_size: expected an integer"),
        ({"highest": 900, "each": 2}, ValueError, "fit"),
    ],
)
def test_bad_arguments_are_refused(
    net: NumberNet, changed: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        evaluate(net, SMALL, **{**OPTIONS, **changed})
