from pathlib import Path

import numpy as np
import pytest
import torch
from planted_line import planted

from diptych import embed
from diptych.numerosity import Architecture, Evaluation, NumberNet, SceneLaw, evaluate, probe, respond
from diptych.numerosity.readout import name_actions

SMALL = SceneLaw(sides=(3, 3), clearance=1)
DRAWN = {"dataset": SMALL, "highest": 4, "each": 6, "limit": 4, "actions": 30, "size": 39, "progress": False}


@pytest.fixture(scope="module")
def line() -> tuple[np.ndarray, np.ndarray]:
    return planted(each=12, noise=0.05, d=5)


def test_a_line_names_actions_far_beyond_those_it_was_taught(line: tuple[np.ndarray, np.ndarray]) -> None:
    """Differences of 1, 0 and -1 along a line with noise of 0.05 are a matter of one threshold each."""
    pairs, actions, predicted = name_actions(*line, taught=3, limit=20)
    counts = line[1][pairs]
    assert (np.sign(counts[:, 1] - counts[:, 0]) == np.array([1, -1, 0])[actions]).all()
    assert counts.max() == 20
    assert (actions == predicted).mean() > 0.95


def test_embeddings_without_number_name_actions_by_chance(line: tuple[np.ndarray, np.ndarray]) -> None:
    shares = []
    for seed in range(5):
        noise = np.random.default_rng(seed).standard_normal(line[0].shape)
        _, actions, predicted = name_actions(noise, line[1], actions=600, seed=seed)
        shares.append((actions == predicted).mean())
    # Three actions, about equally often; at the ends of the walk some are not legal.
    assert max(shares) < 0.5


def test_items_that_teach_are_never_named(line: tuple[np.ndarray, np.ndarray]) -> None:
    """Were they, embeddings of noise wide enough to be learned by heart would be named rightly."""
    wide = np.random.default_rng(0).standard_normal((len(line[1]), 3000))
    _, actions, predicted = name_actions(wide, line[1], actions=300)
    assert (actions == predicted).mean() < 0.6


def test_a_seed_gives_the_same_answers(line: tuple[np.ndarray, np.ndarray]) -> None:
    one, same, other = (name_actions(*line, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_an_array_is_probed(line: tuple[np.ndarray, np.ndarray]) -> None:
    found = probe(*line, min_cluster_size=6)
    assert found.spearman > 0.99
    assert found.action_error.within(3)[0] < 0.05
    assert found.covariates is None
    tensor = probe(torch.from_numpy(line[0]), torch.from_numpy(line[1]), min_cluster_size=6)
    assert tensor.figures() == pytest.approx(found.figures(), nan_ok=True)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".safetensors"])
def test_a_file_is_probed(line: tuple[np.ndarray, np.ndarray], tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"embeddings{ending}"
    if ending == ".npz":
        np.savez(path, z=line[0])
    elif ending == ".npy":
        np.save(path, line[0])
    else:
        embed.save_embeddings(path, {"z": line[0]})
    found = respond(path, line[1])
    np.testing.assert_allclose(found.embeddings, line[0], rtol=1e-6)
    assert found.about["embeddings"] == str(path)


def test_a_stored_embedding_is_probed(line: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", line[0])
    found = respond(embed.open_embedding(tmp_path / "z.npy"), line[1])
    np.testing.assert_allclose(found.embeddings, line[0], rtol=1e-6)


def test_actions_reach_as_far_as_there_are_items() -> None:
    embeddings, counts = planted(each=4, highest=5)
    kept = (counts <= 3) | (counts == 5)
    found = respond(embeddings[kept], counts[kept])
    assert counts[kept][found.pairs].max() == 3
    few = counts < 1
    few[[4, 8, 12]] = True
    assert respond(embeddings[few], counts[few]).pairs is None


def test_a_number_net_is_probed() -> None:
    net = NumberNet(Architecture(size=39))
    found = respond(net, **DRAWN)
    wanted = evaluate(net, SMALL, highest=4, each=6, limit=4, actions=30, progress=False)
    assert np.array_equal(found.predicted, wanted.predicted)


def test_an_image_model_is_probed() -> None:
    pytest.importorskip("timm")
    model = embed.load_model("timm:test_resnet", pretrained=False)
    found = respond(model, **DRAWN)
    assert found.embeddings.shape == (30, 96)
    assert found.about["model"] == model.name
    assert found.about["layer"] == "embedding"
    assert len(found.predicted) == 30
    assert found.covariates["summed_area"].tolist() == (9 * found.counts).tolist()
    logits = respond(model, layer="logits", **DRAWN)
    assert logits.embeddings.shape == (30, 1000)
    line = probe(model, min_cluster_size=5, **DRAWN)
    assert line.linear_error > 0


def test_imprecise_actions_are_read_from_an_image_model() -> None:
    pytest.importorskip("timm")
    law = SceneLaw(sides=(3, 3), clearance=1, amounts=(0, 3))
    model = embed.load_model("timm:test_resnet", pretrained=False)
    found = respond(model, **{**DRAWN, "dataset": law})
    assert np.abs(np.diff(found.counts[found.pairs], axis=1)).max() > 1


def test_the_last_seed_serves(line: tuple[np.ndarray, np.ndarray]) -> None:
    assert len(name_actions(*line, actions=60, seed=2**63 - 1)[0]) == 60


@pytest.mark.parametrize("progress", [True, False])
def test_bars_are_shown_throughout_or_not_at_all(
    line: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, progress: bool
) -> None:
    asked = []
    monkeypatch.setattr(Evaluation, "analyze", lambda _, **options: asked.append(options["progress"]))
    probe(*line, progress=progress)
    assert asked == [progress]


def test_a_model_that_ignores_its_images_is_refused() -> None:
    """All scenes in one place: counts 0 and 1 leave no unit of number."""
    with pytest.raises(ValueError, match=r"embeddings: .*same"):
        probe(np.ones((40, 3)), np.arange(40) % 5, min_cluster_size=5)


@pytest.mark.parametrize(
    ("source", "counts", "message"),
    [
        (np.zeros((4, 2)), None, "counts: expected the number of objects in each scene"),
        (np.zeros(4), [0, 1, 0, 1], "model_or_embeddings: expected"),
        ("none.npy", [0, 1], "none.npy: no such file"),
        (np.zeros((4, 2)), [0, 1, 2], r"counts: expected shape \(4,\), found \(3,\)"),
        (np.zeros((4, 2)), [0, 1, 0.5, 1], "counts: expected whole numbers, found 0.5 in row 2"),
        (np.zeros((4, 2)), [0, 1, -1, 1], "counts: expected numbers of objects, at least 0, found -1"),
        (np.zeros((2, 2)), [0, np.nan], "counts: .*NaN"),
        (np.full((2, 2), np.nan), [0, 1], "model_or_embeddings: .*NaN"),
    ],
)
def test_what_cannot_be_probed_is_refused(source: object, counts: object, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        respond(source, counts if counts is None else np.array(counts))


def test_a_number_net_has_one_layer() -> None:
    with pytest.raises(ValueError, match=r"layer: expected 'embedding'.*found 'layer3'"):
        respond(NumberNet(Architecture(size=39)), layer="layer3")


def test_no_actions_are_named_beyond_the_scenes(line: tuple[np.ndarray, np.ndarray]) -> None:
    few = line[1] <= 5
    found = respond(line[0][few], line[1][few])
    assert line[1][few][found.pairs].max() == 5
    with pytest.raises(ValueError, match="limit: expected 1 to 5, found 8"):
        respond(line[0][few], line[1][few], limit=8)


def test_counts_beside_a_model_are_refused() -> None:
    with pytest.raises(ValueError, match="counts: expected none beside a model"):
        respond(NumberNet(Architecture(size=39)), np.arange(3))


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"taught": 0}, ValueError, "taught: expected 1 to"),
        ({"limit": 0}, ValueError, "limit: expected 1 to"),
        ({"actions": 5}, ValueError, "actions: expected 6 to"),
        ({"limit": 40}, ValueError, "at least 4 items of each count up to 40.*found 0 of count 31"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
    ],
)
def test_bad_arguments_of_the_readout_are_refused(
    line: tuple[np.ndarray, np.ndarray], changed: dict[str, int], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        name_actions(*line, **changed)
