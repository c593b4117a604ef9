"""The fast-weight tracer: its hypotheses against the laws they state, its beliefs against brute force."""

import numpy as np
import pytest
import torch

from diptych.tracing.batches import pad
from diptych.tracing.learners import KINDS, GradientLearners, Pool, Traits
from diptych.tracing.learners.static import discriminant
from diptych.tracing.models import Batch, FastWeight, Step
from diptych.tracing.models.hypotheses.matrix import MatrixHypotheses, contrasts, normal_points
from diptych.tracing.sequences import Sequences
from diptych.tracing.simulate import simulate


def batch_of(kind: str, dtype: torch.dtype = torch.float64, **options: object) -> tuple[Batch, np.ndarray]:
    """Simulated learners' steps, images as they see them times √d, and their true probabilities (B, T, C)."""
    sequences = simulate(kind, **options)
    assert sequences.features is not None
    assert sequences.truth is not None
    seen = Pool.of(sequences.features, sequences.labels).features * np.sqrt(sequences.features.shape[1])
    batch = pad(sequences).batch(torch.from_numpy(seen).to(dtype))
    return batch, sequences.truth.reshape(*batch.labels.shape, -1)


def only(kind: str, classes: int = 5, dimension: int = 8, **traits: float) -> FastWeight:
    """A model of one hypothesis, of known traits."""
    model = FastWeight(
        classes, dimension, hypotheses=[int(kind == each) for each in FastWeight.KINDS]
    ).double()
    set_traits(model, kind, **traits)
    return model


def set_traits(model: FastWeight, kind: str, **traits: float) -> None:
    """Give all hypotheses of a kind the same traits; both kinds with matrices share their lapses."""
    hypotheses = model.matrix if kind in ("gradient", "static") else getattr(model, kind)
    with torch.no_grad():
        for name, value in traits.items():
            if name in ("lapse", "forgetting"):
                getattr(hypotheses, f"{name}_logit").fill_(torch.tensor(value, dtype=torch.float64).logit())
                continue
            # The least learning rate is added to what is learned.
            number = np.log(value - 0.2 if (kind, name) == ("gradient", "rate") else value)
            if name == "spread":
                rows = slice(model.matrix.moving) if kind == "gradient" else slice(model.matrix.moving, None)
                hypotheses.log_spread[rows] = number
            else:
                getattr(hypotheses, f"log_{name}").fill_(number)


TRAITS = {
    "prototype": {"ability": 3.0, "rate": 1.5, "forgetting": 0.03, "lapse": 0.05},
    "exemplar": {"ability": 2.5, "rate": 12.0, "forgetting": 0.03, "lapse": 0.05, "gamma": 2.0},
    "gradient": {"rate": 3.0, "forgetting": 0.03, "lapse": 0.05},
}


@pytest.mark.parametrize("kind", TRAITS)
def test_a_hypothesis_that_is_true_answers_as_the_learners_do(kind: str) -> None:
    traits = {"learning_rate" if name == "rate" else name: value for name, value in TRAITS[kind].items()}
    if kind == "gradient":
        traits["ability"] = 1.0
    batch, truth = batch_of(kind, n_learners=4, spread=0.0, seed=3, **traits)
    # Nothing is unknown of where these start: their matrices are certain, but for the least noise.
    model = only(kind, **TRAITS[kind], **({"spread": 1e-4, "noise": 1e-9} if kind == "gradient" else {}))
    # Lapses have a least probability of 1e-4; matrices are blurred by a least variance of 1e-3 a step.
    tolerance = 0.03 if kind == "gradient" else 2e-4
    answers = model(batch).exp().detach().numpy()
    np.testing.assert_allclose(answers, truth, rtol=0, atol=tolerance)


def common(model: FastWeight, sequences: Sequences, ability: float) -> None:
    """Give static hypotheses the matrix that the simulated ones begin with."""
    assert sequences.features is not None
    matrix = ability * discriminant(Pool.of(sequences.features, sequences.labels))
    with torch.no_grad():
        # A quarter of the contrasts of the classes' logits.
        model.matrix.beginnings[1] = (
            model.matrix.basis.T @ torch.from_numpy(matrix).to(model.matrix.basis) / 4
        )


def test_static_hypotheses_stay_with_the_common_classifier() -> None:
    model = only("static", spread=1e-4, lapse=0.1)
    common(model, simulate("static", 3), 0.3)
    batch, truth = batch_of("static", n_learners=3, lapse=0.1, ability=0.3)
    # But for a variance of 1e-3 a step, by which a covariance keeps its root.
    np.testing.assert_allclose(model(batch).exp().detach(), truth, rtol=0, atol=0.02)


def test_static_hypotheses_tell_confusions_of_ones_own() -> None:
    """Learners who learn nothing, each with a classifier of its own, are known by their answers alone."""
    batch, truth = batch_of("gradient", torch.float32, n_learners=40, learning_rate=0.0, lapse=0.0)
    model = FastWeight(5, 8, hypotheses=(0, 1, 0, 0))
    set_traits(model, "static", spread=1.7)
    with torch.no_grad():
        answers = model(batch).exp().numpy()
    errors = np.square(truth - answers).sum(-1).mean(0)
    assert errors[0] > 0.3
    assert errors[30:].mean() < 0.4 * errors[0]


@pytest.mark.parametrize("seed", range(4))
def test_beliefs_are_those_of_many_particles(seed: int) -> None:
    """A learner's matrix is one of 10,000 guesses, each of which learns, and is weighed by every answer."""
    d, steps, count = 2, 8, 10_000
    random = np.random.default_rng(seed)
    model = only("gradient", 3, d, rate=0.5, forgetting=0.05, lapse=0.1, spread=1.5, noise=1e-9)
    z = random.normal(size=(steps, d)) / np.sqrt(d)
    labels = random.integers(3, size=steps)
    known = Traits(*(np.full(count, each) for each in (1.0, 0.5, 0.05, 0.1, 1.0)))
    start = 1.5 * random.normal(size=(count, 3, d + 1))
    particles = GradientLearners(known, np.zeros(count, bool), start, Pool(z, labels))
    weight, state, images = np.ones(count) / count, model.start(1), torch.from_numpy(z * np.sqrt(d))
    errors, moves = [], []
    for t in range(steps):
        chances = particles.probabilities(np.broadcast_to(z, (count, steps, d)))
        wanted = np.einsum("n,nmc->mc", weight, chances)
        found = model.respond(state, images[None], torch.zeros(1, steps).long())[0].exp().detach()
        errors.append(np.abs(found.numpy() - wanted))
        moves.append(np.abs(chances.mean(0) - wanted))
        # The first guess is the learner.
        response = random.choice(3, p=chances[0, t])
        weight = weight * chances[:, t, response]
        weight /= weight.sum()
        particles.learn(np.broadcast_to(z[t], (count, d)), np.full(count, labels[t]))
        state = model.advance(state, Step(images[[t]], torch.tensor([labels[t]]), torch.tensor([response])))
    # Before any answer there is sampling alone. Later beliefs are no Gaussians: what that misses is
    # small beside what the answers tell.
    assert errors[0].max() < 0.02
    assert np.mean(errors) < 0.25 * np.mean(moves)


def test_a_matrix_is_followed_from_the_answers_of_a_learner() -> None:
    """Untrained, the model tells much of what there is to tell of learners with their own confusions."""
    for seed in range(2):
        batch, truth = batch_of("gradient", torch.float32, n_learners=40, seed=seed)
        with torch.no_grad():
            answers = FastWeight(5, 8)(batch).exp().numpy()
        guess = np.square(truth[:, 20:] - truth[:, 20:].mean((0, 1))).sum(-1).mean()
        assert np.square(truth[:, 20:] - answers[:, 20:]).sum(-1).mean() < 0.45 * guess


def test_kinds_are_told_from_the_answers() -> None:
    model = FastWeight(5, 8, hypotheses=(1, 1, 1, 1))
    for kind, traits in TRAITS.items():
        set_traits(model, kind, **traits)
    set_traits(model, "gradient", spread=2.0)
    set_traits(model, "static", spread=0.05)
    for kind in KINDS:
        right = 0
        for seed in range(2):
            batch, _ = batch_of(kind, torch.float32, n_learners=30, seed=seed)
            common(model, simulate(kind, 1, seed=seed), 0.22)
            with torch.no_grad():
                before = model.kinds(model.start(30))
                found = model.kinds(model.follow(batch.first(30))[1])
            torch.testing.assert_close(before, torch.full((30, 4), 0.25))
            torch.testing.assert_close(found.sum(1), torch.ones(30))
            right += int((found.argmax(1) == FastWeight.KINDS.index(kind)).sum())
        # By chance 15 of 60.
        assert right > 30, kind


def test_careless_learners_are_believed_to_lapse() -> None:
    model = FastWeight(5, 8, hypotheses=(2, 0, 0, 0))
    set_traits(model, "gradient", rate=3.0, spread=2.0)
    with torch.no_grad():
        model.matrix.lapse_logit.copy_(torch.tensor([0.05, 0.8]).logit())
    sequences = simulate("gradient", 60, careless=0.5)
    batch, _ = batch_of("gradient", torch.float32, n_learners=60, careless=0.5)
    careless = np.isin(sequences.learners, sequences.about["careless"])
    with torch.no_grad():
        lapses = model.lapses(model.follow(batch.first(30))[1]).numpy()
    pairs = lapses[careless][:, None] > lapses[~careless]
    assert pairs.mean() > 0.95


def test_classifiers_of_what_is_certain_answer_as_the_model_does() -> None:
    batch, _ = batch_of("prototype", n_learners=5, dimension=20)
    for kind in ("gradient", "static", "prototype"):
        model = only(kind, 5, 20, lapse=1e-9, **({} if kind == "prototype" else {"spread": 1e-6}))
        with torch.no_grad():
            model.matrix.beginnings.normal_()
            state = model.follow(batch.first(30))[1] if kind == "prototype" else model.start(5)
            W, b = model.classifiers(state)
            assert W.shape == (5, 1, 5, 20)
            assert b.shape == (5, 1, 5)
            scores = batch.features @ W[:, 0].mT + b
            found = model.respond(state, batch.features, batch.labels).exp()
        # The least lapse and the least variance of logits, 1e-4 each.
        torch.testing.assert_close(scores.softmax(-1), found, rtol=0, atol=1e-3)


def test_exemplars_are_shown_by_the_plane_that_touches_their_log_odds() -> None:
    batch, _ = batch_of("exemplar", n_learners=3)
    model = only("exemplar", lapse=1e-9)
    state = model.follow(batch.first(30))[1]
    W, b = model.classifiers(state)
    centre = torch.zeros(3, 1, 8, dtype=torch.float64, requires_grad=True)
    given = model.respond(state, centre, torch.zeros(3, 1).long())[:, 0].exp()
    by_plane = (centre @ W[:, 0].mT + b)[:, 0].softmax(-1)
    # But for the least lapse, 1e-4.
    torch.testing.assert_close(given, by_plane, rtol=0, atol=1e-4)
    for each in range(5):
        slopes = [
            torch.autograd.grad(chance[:, each].sum(), centre, retain_graph=True)[0]
            for chance in (given, by_plane)
        ]
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-9)


def test_wide_features_are_seen_through_fewer_numbers() -> None:
    model = FastWeight(3, 40, rank=6)
    assert model.view.weight.shape == (6, 40)
    features = torch.randn(2000, 40)
    assert abs(model.view(features).square().sum(1).mean() - 1) < 0.05
    batch, _ = batch_of("gradient", torch.float32, n_learners=3, n_classes=3, dimension=40)
    model(batch).sum().backward()
    assert model.view.weight.grad is not None
    assert torch.isfinite(model.view.weight.grad).all()
    state = model.follow(batch.first(30))[1]
    assert model.classifiers(state)[0].shape == (3, 1, 3, 40)


def test_long_sequences_of_large_features_keep_their_covariance() -> None:
    torch.manual_seed(0)
    model = FastWeight(4, 6)
    set_traits(model, "gradient", noise=1e-9, spread=5.0)
    shape = 3, 300
    features = 20 * torch.randn(*shape, 6)
    features[:, 1::2] = features[:, ::2]
    labels, responses = torch.randint(4, (2, *shape))
    no = torch.zeros(shape, dtype=torch.bool)
    with torch.no_grad():
        answers = model(Batch(features, labels, responses, no, ~no))
    assert torch.isfinite(answers).all()


def test_many_classes_have_points_enough() -> None:
    torch.manual_seed(0)
    answers = simulate("gradient", 2, 2, 1, n_classes=17, n_images=34, dimension=3)
    model = FastWeight(17, 3, hypotheses=(1, 1, 1, 1))
    chances = model(pad(answers).batch(torch.from_numpy(answers.features))).exp()
    # Sums of float32.
    torch.testing.assert_close(chances.sum(-1), torch.ones(2, 3), rtol=0, atol=1e-5)


def test_points_and_contrasts() -> None:
    for classes in (2, 3, 8):
        basis = contrasts(classes).double()
        torch.testing.assert_close(basis.T @ basis, torch.eye(classes - 1).double(), rtol=0, atol=1e-6)
        torch.testing.assert_close(basis.sum(0), torch.zeros(classes - 1).double(), rtol=0, atol=1e-6)
        points = normal_points(32, classes - 1).double()
        torch.testing.assert_close(points.mean(0), torch.zeros(classes - 1).double(), rtol=0, atol=1e-6)
        torch.testing.assert_close(points.T @ points / 32, torch.eye(classes - 1).double(), rtol=0, atol=1e-5)
    # A normal number's mean size is √(2/π).
    assert abs(float(normal_points(256, 1).abs().mean()) - np.sqrt(2 / np.pi)) < 0.01


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"classes": 1}, ValueError, "classes: expected 2 to"),
        ({"dimension": 0}, ValueError, "dimension: expected 1 to"),
        ({"rank": 0}, ValueError, "rank: expected 1 to"),
        ({"points": 9}, ValueError, "points: expected an even number, found 9"),
        ({"points": 4}, ValueError, "points: expected 6 to"),
        (
            {"hypotheses": (1, 1, 1)},
            ValueError,
            r"hypotheses: expected how many of gradient.*found \[1, 1, 1\]",
        ),
        ({"hypotheses": (0, 0, 0, 0)}, ValueError, "hypotheses: expected one or more, found none"),
        ({"hypotheses": (1, 1, -1, 1)}, ValueError, "hypotheses: expected 0 to"),
        ({"hypotheses": (1, 1, 1.5, 1)}, TypeError, "hypotheses: expected an integer, found 1.5"),
    ],
)
def test_models_that_cannot_be_made(options: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        FastWeight(**{"classes": 3, "dimension": 4, **options})


def test_matrices_start_where_they_are_told() -> None:
    hypotheses = MatrixHypotheses(2, 1, 3, 4, 16)
    with torch.no_grad():
        hypotheses.beginnings[1] = 1.0
        hypotheses.log_spread[1] = np.log(0.5)
    belief = hypotheses.start(7)
    assert belief.mean.shape == (7, 3, 2, 5)
    assert (belief.mean[:, :2] == 0).all()
    assert (belief.mean[:, 2] == 4).all()
    assert belief.covariance.shape == (7, 3, 10, 10)
    torch.testing.assert_close(belief.covariance[3, 1], 0.5**2 * torch.eye(10))
