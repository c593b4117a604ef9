"""A small folder of images to learn from."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("Agara", "Bari", "Cooka")
EACH = 6


def write_images(folder: Path, classes: tuple[str, ...] = CLASSES, each: int = EACH) -> Path:
    """A folder with so many images of each class, whose red is the class's and whose green is the image's."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for image in range(each):
            pixels = np.full((12, 8, 3), (50 * number, 10 * image, 99), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name.lower()}_{image}.png")
    return folder
