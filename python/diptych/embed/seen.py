"""What a model is shown of an image, as a picture again."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.embed.images import ImageSet
from diptych.embed.models import ImageModel

if TYPE_CHECKING:
    from PIL.Image import Image

# Side of the plain images that the normalisation is read from.
_PROBE = 256


class Seen:
    """Images as a model is shown them, by index: resized and cropped as it wants, normalisation undone.

    What became of black and of white tells the normalisation of each channel, so any preprocessing will do
    that scales and shifts channels, as all of timm's do.
    """

    def __init__(self, model: ImageModel, images: ImageSet) -> None:
        """Try the preprocessing; no image is read yet.

        Raises:
            ValueError: The preprocessing makes the same of black and of white.
        """
        self._model, self._images = model, images
        self._black, white = (self._plain(level) for level in (0, 255))
        self._span = white - self._black
        if not bool((self._span != 0).all()):
            raise ValueError(
                f"model: expected a preprocessing that tells black from white, found none in {model.name}"
            )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, item: int) -> NDArray[np.uint8]:
        """Return one image, (h, w, 3) uint8.

        Raises:
            UnreadableImageError: It cannot be read.
        """
        pixels = (self._model.preprocess(self._images.read(item)) - self._black) / self._span
        levels = (255 * pixels.clamp(0, 1)).round().to(torch.uint8)
        return levels.permute(1, 2, 0).numpy(force=True)

    def _plain(self, level: int) -> torch.Tensor:
        from PIL import Image as Pillow

        image: Image = Pillow.new("RGB", (_PROBE, _PROBE), (level, level, level))
        found: Any = self._model.preprocess(image)
        return found.float().mean((1, 2), keepdim=True)
