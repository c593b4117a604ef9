"""Visual knowledge tracing: an epoch in few calls beside a loop over steps, and answers to many candidates.

Counted, for an epoch of 105 learners with 30 training and 15 test steps: the LSTM of three layers of 128
takes 16 x 256 x 512 multiplications a step, layer and batch of 16, so that 30 steps are 0.38 GFLOP forward
and 1.1 with the backward pass; test steps, all of them apart from each other, are one step more of 80 rows
for five classes, 0.19. A loop over the steps does the same for each step, and once more where it must know
the next state, in calls whose own cost is above that of their arithmetic. Two loops are measured: the
definition, ``step_by_step``, and one as a user would write it for this one model, which goes on from the
state that it answered from. With images the network is the larger part: an epoch embeds each distinct image
of a batch once, a loop those of each step.

``predict`` for 10,000 candidates of 16 features and five classes is a product of 10,000 x 16 x 25 (8 MFLOP)
and 250,000 exponentials; what it reads and writes is 0.6 + 1 + 0.2 MB. The baseline runs the network on a
batch of all candidates, each with the learner's state.

Answers and losses are first compared. Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_tracing.py
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from conftest import race, spread
from diptych.tracing.batches import Padded, pad
from diptych.tracing.extractor import Extractor, Known, ResNet18
from diptych.tracing.models import MODELS, Batch, ClassifierPrediction, TracingModel, step_by_step
from diptych.tracing.sequences import Sequences
from diptych.tracing.simulate import simulate
from diptych.tracing.tracer import Tracer

ROUNDS, BATCH, CANDIDATES = 5, 16, 10_000
LEARNED, SIDE = 105, 64
MULTIPLICATIONS = 3 * 16 * 256 * 512

Answers = Callable[[Batch], torch.Tensor]


@pytest.fixture(scope="module")
def answered() -> Sequences:
    return simulate("gradient", n_learners=LEARNED, dimension=16, seed=0)


def model_of(sequences: Sequences, name: str = "cls_pred_y", dimension: int = 16) -> TracingModel:
    torch.manual_seed(0)
    return MODELS[name](len(sequences.classes), dimension)


def by_hand(model: ClassifierPrediction, batch: Batch) -> torch.Tensor:
    """A loop over the steps for this one model, which answers from the state that it goes on from."""
    learners, steps = batch.labels.shape
    hot = partial(torch.nn.functional.one_hot, num_classes=model.classes)
    state, last, answers = None, torch.zeros(learners, model.classes), []
    for t in range(steps):
        told = torch.cat([last, hot(batch.labels[:, t]).float()], 1)
        hidden, after = model.lstm(told[:, None], state)
        answers.append(model.read(hidden[:, 0], batch.features[:, t], batch.labels[:, t]))
        # All learners here are trained for the same number of steps.
        if not batch.test[0, t]:
            state, last = after, hot(batch.responses[:, t]).float()
    return torch.stack(answers, 1)


def epoch(model: TracingModel, answers: Answers, padded: Padded, features: torch.Tensor) -> float:
    """Losses of all batches, with their gradients."""
    total = 0.0
    for learners in torch.arange(len(padded)).split(BATCH):
        batch = padded.of(learners).batch(features)
        model.zero_grad()
        loss = torch.nn.functional.nll_loss(answers(batch).flatten(0, 1), batch.responses.flatten())
        loss.backward()
        total += loss.item()
    return total


@pytest.mark.parametrize("name", ["cls_pred_y", "direct_yz", "exemplar"])
def test_an_epoch_in_few_calls(benchmark, recorder, limits, answered, name):
    model, padded = model_of(answered, name), pad(answered)
    features = torch.from_numpy(answered.features)
    ways = {"step_by_step": partial(step_by_step, model)}
    if isinstance(model, ClassifierPrediction):
        ways["a loop by hand"] = partial(by_hand, model)
    run = partial(epoch, model, padded=padded, features=features)
    own = run(model)
    error = max(abs(run(way) - own) / own for way in ways.values())
    assert error < 1e-5
    baselines = {said: partial(run, way) for said, way in ways.items()}
    times, theirs = race(benchmark, lambda: run(model), baselines, ROUNDS)
    ours = spread(times)
    recurrent = name != "exemplar"
    flop = 2 * 3 * 30 * MULTIPLICATIONS * -(-LEARNED // BATCH)
    rate = {"rate": flop / ours["p20_s"] / 1e9, "unit": "GFLOP/s"} if recurrent else {}
    for said, each in theirs.items():
        baseline = float(np.percentile(each, 20))
        recorder.add(
            op=f"epoch of {name}",
            shape=f"{LEARNED} learners x 45 steps",
            dtype="float32",
            backend="torch",
            **ours,
            **rate,
            **({"share_of_limit": flop / ours["p20_s"] / limits["gemm"]} if recurrent else {}),
            baseline=said,
            baseline_p20_s=baseline,
            ratio=baseline / ours["p20_s"],
            error=error,
        )
        if said == "step_by_step":
            assert baseline / ours["p20_s"] >= 8


def on_pixels(
    model: TracingModel, extractor: Extractor, inputs: torch.Tensor, padded: Padded, once: bool
) -> float:
    """The loss of a batch whose images are embedded, with its gradient."""
    model.zero_grad()
    extractor.zero_grad()
    if once:
        numbers, places = padded.images()
        batch = padded.batch(extractor(inputs[numbers]), places)
        answers = model(batch)
    else:
        learners, steps = padded.items.shape
        features = torch.cat([extractor(inputs[shown]) for shown in padded.items.T])
        batch = padded.batch(features, torch.arange(learners * steps).view(steps, learners).T)
        answers = step_by_step(model, batch)
    loss = torch.nn.functional.nll_loss(answers.flatten(0, 1), batch.responses.flatten())
    loss.backward()
    return loss.item()


def test_each_image_is_embedded_once(benchmark, recorder, answered):
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (len(answered.items), SIDE, SIDE, 3), np.uint8)
    torch.manual_seed(0)
    extractor, model = ResNet18(16, SIDE), model_of(answered)
    inputs = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    run = partial(on_pixels, model, extractor, inputs, pad(answered.of(np.arange(BATCH))))
    own, other = run(True), run(False)
    error = abs(own - other) / own
    assert error < 1e-5
    baselines = {"each step's images, step_by_step": lambda: run(False)}
    times, theirs = race(benchmark, lambda: run(True), baselines, 3)
    ours, baseline = spread(times), float(np.percentile(theirs["each step's images, step_by_step"], 20))
    recorder.add(
        op="batch of cls_pred_y with ResNet-18",
        shape=f"{BATCH} learners x 45 steps, {SIDE} x {SIDE}",
        dtype="float32",
        backend="torch",
        **ours,
        baseline="each step's images, step_by_step",
        baseline_p20_s=baseline,
        ratio=baseline / ours["p20_s"],
        error=error,
    )
    assert baseline > ours["p20_s"]


def through_the_network(tracer: Tracer, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """All candidates as a batch of learners in the same state."""
    model, state = tracer.model, tracer._states["learner"]
    with torch.no_grad():
        many = type(state)(*(each.expand(len(images), *each.shape[1:]) for each in state))
        features = tracer.extractor(torch.from_numpy(images))
        told = [many.last, torch.nn.functional.one_hot(torch.from_numpy(labels), model.classes).float()]
        states = [each.transpose(0, 1).contiguous() for each in (many.hidden, many.cell)]
        hidden, _ = model.lstm(torch.cat(told, 1)[:, None], tuple(states))
        return model.read(hidden[:, 0], features, torch.from_numpy(labels)).exp().numpy()


def test_many_candidates_are_answered_by_one_product(benchmark, recorder, limits, answered):
    extractor = Known(16)
    extractor.measure(torch.from_numpy(answered.features))
    tracer = Tracer("cls_pred_y", {}, model_of(answered), extractor, answered.classes)
    tracer.start()
    for row in range(30):
        item = answered.item[row]
        tracer.update(answered.features[item], answered.labels[item], answered.response[row])
    draw = np.random.default_rng(0)
    images = draw.standard_normal((CANDIDATES, 16)).astype(np.float32)
    labels = draw.integers(5, size=CANDIDATES)
    expected = through_the_network(tracer, images, labels)
    error = float(np.abs(tracer.predict(images, labels) - expected).max())
    assert error < 1e-5
    baselines = {
        "the network on each": lambda: through_the_network(tracer, images, labels),
        "without labels": lambda: tracer.predict(images),
    }
    times, theirs = race(benchmark, lambda: tracer.predict(images, labels), baselines, 21)
    moved = images.nbytes + CANDIDATES * 4 * (25 + 5)
    for said, each in {"with": times, "without": theirs.pop("without labels")}.items():
        ours, baseline = spread(each), float(np.percentile(theirs["the network on each"], 20))
        recorder.add(
            op="Tracer.predict",
            shape=f"{CANDIDATES} x 16, 5 classes, {said} labels",
            dtype="float32",
            backend="torch",
            **ours,
            rate=moved / ours["p20_s"] / 1e9,
            unit="GB/s",
            share_of_limit=moved / ours["p20_s"] / limits["copy"],
            baseline="the network on each",
            baseline_p20_s=baseline,
            ratio=baseline / ours["p20_s"],
            error=error,
        )
        assert ours["p20_s"] < 0.002
