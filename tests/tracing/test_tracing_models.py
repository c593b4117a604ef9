from typing import Any

import pytest
import torch
from made_up import random_sequences

from diptych.tracing.batches import pad
from diptych.tracing.models import MODELS, Batch, TracingModel, step_by_step

CLASSES, DIMENSION = 3, 4
SMALL: dict[str, Any] = {"hidden": 8, "layers": 2}
RECURRENT = [name for name in MODELS if name.startswith(("direct", "cls_pred", "dkt"))]
SIZED = [*RECURRENT, "saint"]
# Lengths: all alike; different ones, with learners who were never trained or never tested; training alone.
LENGTHS = {
    "alike": ([6, 6, 6], [5, 5, 5]),
    "different": ([6, 1, 0, 4, 3], [1, 5, 2, 0, 3]),
    "training": ([5, 5], [0, 0]),
    "tests": ([0, 0], [3, 2]),
}
EXTRA = [{}, {"accuracy": True}, {"accuracy": True, "seconds": True}]


def made(name: str, **extra: bool) -> TracingModel:
    torch.manual_seed(0)
    return MODELS[name](CLASSES, DIMENSION, **(SMALL | extra if name in SIZED else {}))


def drawn(lengths: str = "alike", dtype: torch.dtype = torch.float64) -> Batch:
    sequences = random_sequences(*LENGTHS[lengths], classes=CLASSES, dimension=DIMENSION)
    padded = pad(sequences)
    batch = padded.batch(torch.from_numpy(sequences.features).to(dtype))
    assert batch.seconds is not None
    return batch._replace(seconds=batch.seconds.to(dtype))


CASES = [(name, extra) for name in MODELS for extra in (EXTRA if name in SIZED else EXTRA[:1])]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("name", "extra"), CASES)
def test_forward_is_the_loop_over_steps(name: str, extra: dict[str, bool], lengths: str) -> None:
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        model, batch = made(name, **extra).to(dtype), drawn(lengths, dtype)
        fused, looped = model(batch), step_by_step(model, batch)
        assert fused.shape == (*batch.labels.shape, CLASSES)
        assert fused.dtype == dtype
        torch.testing.assert_close(fused[batch.shown], looped[batch.shown], rtol=0, atol=tolerance)
        sums = fused[batch.shown].logsumexp(-1)
        torch.testing.assert_close(sums, torch.zeros_like(sums), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_the_loop(name: str) -> None:
    batch = drawn("different")
    found = []
    for way in (TracingModel.__call__, step_by_step):
        model = made(name).double()
        answers = way(model, batch)
        (-answers[batch.shown].gather(-1, batch.responses[batch.shown, None])).mean().backward()
        found.append([each.grad for each in model.parameters()])
    for fused, looped in zip(*found, strict=True):
        torch.testing.assert_close(fused, looped, rtol=0, atol=1e-10)
        assert torch.isfinite(fused).all()


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_follows_from_what_came_before_it(name: str) -> None:
    """Another answer in training changes later steps of that learner alone; another one in a test, none."""
    model, batch = made(name).double(), drawn()
    before = model(batch)
    for step, moved in ((3, range(4, 11)), (7, range(0))):
        responses = batch.responses.clone()
        responses[1, step] = (responses[1, step] + 1) % CLASSES
        after = model(batch._replace(responses=responses))
        changed = (after != before).any(-1)
        kept = torch.ones_like(changed)
        kept[1, list(moved)] = False
        assert not changed[kept].any()
        if moved and name in SIZED and name != "dkt":
            assert changed[1, 4:].all()


@pytest.mark.parametrize("name", MODELS)
def test_what_a_test_shows_is_scored_alone(name: str) -> None:
    model, batch = made(name).double(), drawn()
    order = torch.tensor([0, 1, 2, 3, 4, 5, 9, 7, 10, 6, 8])
    shuffled = Batch(*(each[:, order] for each in batch))
    torch.testing.assert_close(model(shuffled), model(batch)[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_many_images_are_answered_as_single_ones(name: str) -> None:
    """More images than classes, and than a transformer reads at once."""
    model, batch = made(name).double(), drawn("different")
    _, state = model.follow(batch.first(6))
    features = torch.randn(5, 300, DIMENSION, dtype=torch.float64)
    labels = torch.arange(1500).view(5, 300) % CLASSES
    together = model.respond(state, features, labels)
    for image in (0, 7, 299):
        alone = model.respond(state, features[:, [image]], labels[:, [image]])
        torch.testing.assert_close(together[:, [image]], alone, rtol=0, atol=1e-12)
    if not model.labelled:
        assert torch.equal(model.respond(state, features, (labels + 1) % CLASSES), together)
    else:
        assert not torch.equal(model.respond(state, features, (labels + 1) % CLASSES), together)


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"fast_weight"}))
def test_linear_classifiers_answer_as_the_model_does(name: str) -> None:
    model, batch = made(name).double(), drawn("different")
    _, state = model.follow(batch.first(6))
    if not name.startswith(("cls_pred", "static")):
        with pytest.raises(TypeError, match="has no linear classifier"):
            model.classifiers(state)
        return
    weights, offsets = model.classifiers(state)
    each = CLASSES if model.labelled else 1
    assert weights.shape == (5, each, CLASSES, DIMENSION)
    assert offsets.shape == (5, each, CLASSES)
    features, labels = batch.features[:, 0], batch.labels[:, 0]
    rows = torch.arange(5), labels if model.labelled else torch.zeros_like(labels)
    own = (weights[rows] @ features[..., None])[..., 0] + offsets[rows]
    answers = model.respond(state, features[:, None], labels[:, None])[:, 0]
    torch.testing.assert_close(own.log_softmax(-1), answers, rtol=0, atol=1e-12)
