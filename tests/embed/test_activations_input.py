"""Unreadable images, outputs that are no activations, options and layers that are not there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shown_networks import PIXELS, Fixed, resnet, small
from torch import nn

from diptych.embed import PatchGrid, Preprocess, activations, load_model, open_images


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.unused = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(0.5 - self.relu(self.conv(x)))


def test_a_module_called_twice_is_refused_and_its_calls_can_be_told_apart() -> None:
    model = small(Twice())
    found = activations(model, PIXELS, ["relu:0", "relu:1", "conv"], pooling="flatten")
    np.testing.assert_array_equal(found["relu:0"], np.maximum(found["conv"], 0))
    np.testing.assert_array_equal(found["relu:1"], np.maximum(0.5 - found["relu:0"], 0))
    with pytest.raises(
        ValueError, match="layer 'relu' is called 2 times in a forward pass; choose one, from 'relu:0'"
    ):
        activations(model, PIXELS, "relu")
    with pytest.raises(
        ValueError, match="layer 'relu:2': expected a call from 0 to 1, as 'relu' is called 2 times"
    ):
        activations(model, PIXELS, "relu:2")
    with pytest.raises(ValueError, match="layer 'unused' is not called in a forward pass of Twice"):
        activations(model, PIXELS, ["relu:0", "unused"])


class Poisoned(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.layer = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean((2, 3))
        return self.layer(torch.where(means > 0.9, self.value, means))


@pytest.mark.parametrize(("value", "found"), [(float("nan"), "NaN"), (float("inf"), "Inf")])
@pytest.mark.parametrize("proposals", [None, PatchGrid(grid=2, size=112)])
def test_activations_that_are_no_numbers_are_named(value: float, found: str, proposals: Any) -> None:
    pixels = np.full((5, 16, 16), 100, np.uint8)
    pixels[3, 8:, 8:] = 255
    pixels[3] = 255 if proposals is None else pixels[3]
    with pytest.raises(ValueError, match=f"layer 'layer' of Poisoned: found {found} for image 3"):
        activations(small(Poisoned(value)), pixels, "layer", proposals=proposals, batch_size=8)


def test_float16_that_overflows_says_so() -> None:
    model = small(nn.Sequential(nn.Conv2d(3, 1, 16)))
    nn.init.constant_(model.module.get_parameter("0.weight"), 1e4)
    with pytest.raises(
        ValueError, match="found Inf for image 0; float16 reaches 65504 only, bfloat16 farther"
    ):
        activations(model, PIXELS, "0", precision="float16")


@pytest.mark.parametrize(
    ("output", "error", "match"),
    [
        ((torch.ones(7, 2), None), TypeError, "layer '0': expected one tensor as its output, found tuple"),
        (
            torch.ones(7, 2).long(),
            TypeError,
            r"layer '0': expected floating-point activations, found torch\.int64",
        ),
        (
            torch.ones(28, 4, 2),
            ValueError,
            r"layer '0': expected an output of 7 rows .* found shape \(28, 4, 2\)",
        ),
        (torch.ones(7), ValueError, r"expected an output of 7 rows for 7 images, found shape \(7,\)"),
        (
            torch.ones(7, 4, 2),
            ValueError,
            "how many come before the patches is unknown for Fixed; say prefix_tok",
        ),
        (torch.ones(7, 4, 2, 2, 2), ValueError, r"layer '0': expected feature maps \(n, c, h, w\), tokens"),
    ],
)
def test_outputs_that_are_no_activations_are_refused(output: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        activations(small(Fixed(output)), PIXELS, "0", batch_size=7)


def test_unreadable_images_are_skipped_and_the_others_keep_their_place() -> None:
    Path("x/a").mkdir(parents=True)
    Path("x/b").mkdir()
    for item, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(f"x/{'ab'[item % 2]}/{item}.png")
    Path("x/a/2.png").write_bytes(b"damaged")
    images = open_images("x")
    found = activations(resnet(), images, "embedding", batch_size=1, proposals=PatchGrid(grid=2))
    assert found.ids.tolist() == ["a/0.png", "a/4.png", "a/6.png", "b/1.png", "b/3.png", "b/5.png"]
    assert found.indices.tolist() == [0, 2, 3, 4, 5, 6]
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.classes == ("a", "b")
    assert str(found.unreadable).startswith(
        "1 of 7 images could not be read and were skipped: a/2.png (cannot"
    )
    whole = activations(resnet(), PIXELS[[0, 4, 6, 1, 3, 5]], "embedding", proposals=PatchGrid(grid=2))
    np.testing.assert_allclose(found["embedding"], whole["embedding"], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="images: none could be read: 1 of 1"):
        activations(resnet(), ["x/a/2.png"], "embedding")


def test_images_that_come_out_in_different_sizes_are_named(tmp_path: Path) -> None:
    for item, size in enumerate([(30, 40), (40, 40)]):
        Image.new("RGB", size).save(f"{item}.png")
    model = load_model(nn.Sequential(nn.Conv2d(3, 2, 3)), preprocess=Preprocess())
    with pytest.raises(
        ValueError, match=r"one size, found \(3, 40, 30\) for 0\.png and \(3, 40, 40\) for 1\.png"
    ):
        activations(model, ["0.png", "1.png"], "0")
    assert activations(model, ["0.png", "1.png"], "0", batch_size=1)["0"].shape == (2, 2)
    model = load_model(nn.Sequential(nn.Conv2d(3, 2, 3)), preprocess=np.asarray)
    with pytest.raises(
        TypeError, match=r"expected a floating-point tensor .* of image 0\.png, found ndarray"
    ):
        activations(model, ["0.png"], "0")


def test_bad_options_are_refused() -> None:
    bad: Any = "max"
    with pytest.raises(ValueError, match=r"pooling: expected one of 'auto', .*, found 'max'"):
        activations(resnet(), PIXELS, "fc", pooling=bad)
    with pytest.raises(
        ValueError, match="precision: expected one of 'float32', 'bfloat16', 'float16', found 'max'"
    ):
        activations(resnet(), PIXELS, "fc", precision=bad)
    with pytest.raises(ValueError, match="batch_size: expected at least 1, found 0"):
        activations(resnet(), PIXELS, "fc", batch_size=0)
    with pytest.raises(ValueError, match="workers: expected at least 1, found 0"):
        activations(resnet(), PIXELS, "fc", workers=0)
    with pytest.raises(ValueError, match="device: cannot compute on 'abacus'"):
        activations(resnet(), PIXELS, "fc", device="abacus")
    with pytest.raises(ValueError, match=r"no layer 'layer4\.7'; the nearest are"):
        activations(resnet(), PIXELS, ["layer4.7"])
