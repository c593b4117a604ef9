"""Which images ``diptych compare`` shows to models: layouts of folders, and classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych.cli._options import LayoutName


@dataclass(frozen=True)
class Shown:
    """The options about the images that models are shown."""

    layout: LayoutName
    classes: list[str] | None
    per_class: int | None
    seed: int

    def images(self, folder: Path) -> Any:
        """The images, those of some classes if asked for.

        Raises:
            FileNotFoundError: As :func:`diptych.embed.read_images`.
            ValueError: As :func:`diptych.embed.read_images` and :func:`diptych.rdx.choose`.
        """
        from diptych.embed import read_images
        from diptych.rdx.image_models import chosen_images

        images = read_images(folder, layout=self.layout)
        return chosen_images(images, _wanted(self.classes), self.per_class, self.seed)

    def demand_none(self) -> None:
        """Refuse these options where no models are shown images.

        Raises:
            ValueError: One of them was given.
        """
        for option, given in (
            ("--layout", self.layout != "folder"),
            ("--classes", self.classes),
            ("--images-per-class", self.per_class is not None),
        ):
            if given:
                raise ValueError(f"{option}: expected --model-a and --model-b, or --preset, beside it")


def _wanted(classes: list[str] | None) -> str | list[str] | None:
    """A name alone may be a group's; several are classes, repeated or separated by commas."""
    if not classes:
        return None
    names = [name.strip() for entry in classes for name in entry.split(",") if name.strip()]
    return names[0] if len(names) == 1 else names
