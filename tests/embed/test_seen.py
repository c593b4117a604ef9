"""Images as a model is shown them: the very pixels, normalisation undone."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from diptych.embed import ImageModel, Preprocess, Seen, load_model, open_images


def model(preprocess: object) -> ImageModel:
    return ImageModel(torch.nn.Identity(), preprocess, "identity")  # type: ignore[arg-type]


def test_normalisation_is_undone_and_the_size_is_the_models() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    plain = Seen(model(Preprocess(24, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))), open_images(pixels))
    assert len(plain) == 3
    for item in range(3):
        np.testing.assert_array_equal(plain[item], pixels[item])
    assert Seen(model(Preprocess(10)), open_images(pixels))[0].shape == (10, 10, 3)


def test_timms_own_resizing_and_cropping_is_shown() -> None:
    torch.manual_seed(0)
    network = load_model(timm.create_model("test_resnet", num_classes=2))
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 160, 3), dtype=np.uint8))
    seen = Seen(network, open_images(np.asarray(picture)[None]))[0]
    assert seen.shape[:2] == network.input_size
    shown = network.preprocess(picture)
    config = network.module.pretrained_cfg
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    # Rounding to 256 levels loses half a level.
    exact = ((shown * std + mean) * 255).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(seen, exact, atol=0.51)


def test_a_preprocessing_that_shows_nothing_is_refused() -> None:
    def blind(_: object) -> torch.Tensor:
        return torch.zeros(3, 4, 4)

    with pytest.raises(ValueError, match="preprocessing that tells black from white, found none in identity"):
        Seen(model(blind), open_images(np.zeros((1, 4, 4), np.uint8)))
