"""Greebles-like figures: their laws, their ideal observer, their pictures."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import kstest, truncnorm
from sklearn.linear_model import LogisticRegression

from diptych.tracing.greeble_figure import draw
from diptych.tracing.greebles import ATTRIBUTES, CLASSES, greebles, posterior

# By class: the means of body size, red and green.
MEANS = [(0.35, 0.50, 0.65), (0.50, 0.65, 0.35), (0.65, 0.35, 0.50)]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what depends on the attributes alone."""
    # By its full name: the package's greebles is the function.
    module = import_module("diptych.tracing.greebles")
    monkeypatch.setattr(module, "draw", lambda attributes, out: None)


def figure(size: int = 64, **attributes: float) -> np.ndarray:
    image = np.zeros((size, size, 3), np.uint8)
    draw(np.array([attributes.get(name, 0.5) for name in ATTRIBUTES]), image)
    return image


def test_there_are_as_many_of_each_class_as_asked() -> None:
    found = greebles(3, size=24)
    assert found.images.shape == (9, 24, 24, 3)
    assert found.images.dtype == np.uint8
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert found.attributes.shape == (9, 6)
    assert found.classes == CLASSES == ("Agara", "Bari", "Cooka")
    assert found.items[:2] == ("Agara/0000.png", "Agara/0001.png")
    assert len(found) == len(set(found.items)) == 9


def test_a_figure_does_not_depend_on_how_many_are_drawn() -> None:
    few, more = greebles(2, size=32, seed=3), greebles(5, size=32, seed=3)
    for label in range(3):
        of_few, of_more = few.labels == label, more.labels == label
        np.testing.assert_array_equal(few.images[of_few], more.images[of_more][:2])
        np.testing.assert_array_equal(few.attributes[of_few], more.attributes[of_more][:2])
    other = greebles(2, size=32, seed=4)
    assert not np.isclose(few.attributes, other.attributes).any()


@pytest.mark.usefixtures("undrawn")
def test_three_attributes_inform_by_the_laws_told() -> None:
    many = greebles(2000, size=16, seed=5)
    # A fair sample passes a test at level 1e-4; there are 18.
    for label in range(3):
        of_class = many.attributes[many.labels == label]
        for column in range(3):
            assert kstest(of_class[:, column], "uniform").pvalue > 1e-4
        for column, mean in enumerate(MEANS[label], start=3):
            law = truncnorm((0 - mean) / 0.13, (1 - mean) / 0.13, mean, 0.13)
            assert kstest(of_class[:, column], law.cdf).pvalue > 1e-4


@pytest.mark.usefixtures("undrawn")
def test_the_ideal_observer_is_bayes_rule() -> None:
    many = greebles(100, size=16, seed=5)
    likelihood = np.ones((len(many), 3))
    for label, means in enumerate(MEANS):
        for column, mean in enumerate(means, start=3):
            law = truncnorm((0 - mean) / 0.13, (1 - mean) / 0.13, mean, 0.13)
            likelihood[:, label] *= law.pdf(many.attributes[:, column])
    expected = likelihood / likelihood.sum(1, keepdims=True)
    np.testing.assert_allclose(many.posterior, expected, rtol=1e-9)
    np.testing.assert_array_equal(posterior(many.attributes[:7]), many.posterior[:7])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("undrawn")
def test_the_classes_overlap_as_told(seed: int) -> None:
    found = greebles(1000, size=16, seed=seed)
    right = (found.posterior.argmax(1) == found.labels).mean()
    # Four deviations of a share of 3,000.
    margin = 4 * (0.864 * 0.136 / 3000) ** 0.5
    assert abs(right - 0.864) < margin
    assert abs(found.ideal_accuracy - 0.864) < margin
    # Nobody beats it but by chance, and the other attributes do not help.
    half = np.arange(3000) % 2 == 0
    fitted = LogisticRegression(C=1e4, max_iter=500).fit(found.attributes[half], found.labels[half])
    assert abs(fitted.score(found.attributes[~half], found.labels[~half]) - right) < margin
    assert (
        LogisticRegression()
        .fit(found.attributes[:, :3], found.labels)
        .score(found.attributes[:, :3], found.labels)
        < 1 / 3 + margin
    )
    for column in (3, 4, 5):
        alone = LogisticRegression(C=1e4).fit(found.attributes[:, [column]], found.labels)
        assert abs(alone.score(found.attributes[:, [column]], found.labels) - 0.62) < margin


def extent(image: np.ndarray) -> tuple[int, int]:
    """Width and height of the figure: of all that is far from the ground beside it."""
    there = np.abs(image.astype(int) - image[:, :1].astype(int)).max(2) > 60
    return int(there.any(0).sum()), int(there.any(1).sum())


@pytest.mark.parametrize("seed", range(3))
def test_every_attribute_shows(seed: int) -> None:
    others = dict(zip(ATTRIBUTES, np.random.default_rng(seed).uniform(0.2, 0.8, 6), strict=True))
    # Where the head is, whatever its width.
    body_top = 64 * (0.92 - 0.02 - 2 * (0.130 + 0.115 * others["body_size"]))
    for name in ATTRIBUTES:
        low, high = (figure(**(others | {name: value})) for value in (0.0, 1.0))
        if name in ("red", "green"):
            change = high.mean((0, 1)) - low.mean((0, 1))
            channel = ("red", "green").index(name)
            assert change[channel] > 5
            assert np.abs(np.delete(change, channel)).max() < 0.1 * change[channel]
        elif name == "head_width":
            low, high = (image[: int(body_top)] for image in (low, high))
            # 0.09 of 64 pixels to either side; a row may be lost where an outline is pale.
            assert extent(high)[0] - extent(low)[0] >= 8
        elif name == "body_width":
            assert extent(high)[0] - extent(low)[0] >= 10
        else:
            # The head's center rises by 0.72 of what its half height grows, 0.072, and its top by all of it.
            assert extent(high)[1] - extent(low)[1] >= {"head_size": 6, "body_size": 12}[name]


def test_figures_stay_inside() -> None:
    for corner in np.ndindex(2, 2, 2, 2):
        sizes = dict(zip(ATTRIBUTES, map(float, corner), strict=False))
        changed = (figure(**sizes, red=0.0) != figure(**sizes, red=1.0)).any(2)
        inside = changed[2:-2, 2:-2]
        assert inside.any()
        assert inside.sum() == changed.sum()


def test_outlines_are_smooth() -> None:
    """A drawing three times as fine, made coarse, is nearly the same one: outlines are not jagged."""
    fine, coarse = figure(192).reshape(64, 3, 64, 3, 3).mean((1, 3)), figure(64)
    jagged = figure(192)[1::3, 1::3]
    error, without = (np.abs(each - fine).mean() for each in (coarse, jagged.astype(float)))
    # Four samples a pixel instead of one: about half of the error.
    assert error < 0.6 * without


def test_frames_and_files(tmp_path: Path) -> None:
    found = greebles(2, size=24, seed=9)
    frame = found.to_frame()
    assert list(frame) == ["image", "label", *ATTRIBUTES]
    assert frame["label"].tolist() == ["Agara"] * 2 + ["Bari"] * 2 + ["Cooka"] * 2
    np.testing.assert_array_equal(frame[list(ATTRIBUTES)], found.attributes)
    assert found.save(tmp_path / "g") == tmp_path / "g"
    assert sorted(path.relative_to(tmp_path / "g").as_posix() for path in tmp_path.rglob("*.png")) == list(
        found.items
    )
    for name, image in zip(found.items, found.images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "g" / name)), image)


@pytest.mark.usefixtures("impatient")
def test_progress_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    found = greebles(1, size=16)
    assert "drawing greebles" in capsys.readouterr().err
    found.save(tmp_path)
    assert "writing greebles" in capsys.readouterr().err
    greebles(1, size=16, progress=False).save(tmp_path, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        ({"n_per_class": 0}, ValueError, "n_per_class: expected 1 to"),
        ({"n_per_class": 2.0}, TypeError, "n_per_class: expected an integer"),
        ({"size": 15}, ValueError, "size: expected 16 to 1024, found 15"),
        ({"size": 2000}, ValueError, "size: expected 16 to 1024, found 2000"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
        ({"seed": None}, TypeError, "seed: expected an integer"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: dict[str, Any], kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        greebles(**({"n_per_class": 1} | arguments))


def test_attributes_of_another_shape_are_refused() -> None:
    for shape in ((6,), (2, 5), (1, 2, 6)):
        with pytest.raises(ValueError, match=r"attributes: expected shape \(m, 6\), found"):
            posterior(np.zeros(shape))
