"""What ``diptych compare`` compares: files of embeddings, or what two models make of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from diptych.cli._report import print_notes
from diptych.cli._shown_images import Shown

_GAMMA = 0.1


class Inputs(NamedTuple):
    """The two sides, and what belongs to their items."""

    a: Any
    b: Any
    ids: Any
    names: tuple[str, str]
    images: Any
    labels: Any
    gamma: float
    item_names: Any = None

    def items(self) -> int:
        """The number of items."""
        from diptych.embed.files import count_items

        return count_items(self.a) if isinstance(self.a, Path) else len(self.a)


@dataclass(frozen=True)
class Models:
    """The options about models, a pair each; names or a preset."""

    given: tuple[str | None, str | None]
    preset: str | None
    layers: tuple[str, str]
    checkpoints: tuple[Path | None, Path | None]
    pretrained: bool
    cache: Path | None

    @property
    def wanted(self) -> bool:
        """Whether models are compared, and not files."""
        return self.preset is not None or self.given != (None, None)

    def embedded(
        self,
        images: Path | None,
        labels: Path | None,
        files: tuple[Path | None, ...],
        device: str | None,
        rank: int | None,
        shown: Shown,
    ) -> Inputs:
        """Show the images to the models, and say which were left out or could not be read.

        Raises:
            ValueError: One model alone, files of embeddings beside models, no images, several processes.
        """
        from diptych.embed import load_model
        from diptych.rdx.image_models import GAMMA, PRESETS, image_pair

        if any(files):
            raise ValueError("--model-a: expected no files of embeddings or ids beside models")
        if images is None:
            raise ValueError("--images: expected the folder of images that the models are shown")
        if rank is not None:
            raise ValueError("--model-a: models run in one process; under torchrun compare their embeddings")
        preset = (None, None) if self.preset is None else PRESETS[self.preset]
        names = tuple(given or named for given, named in zip(self.given, preset, strict=True))
        if None in names:
            raise ValueError("--model-a, --model-b: expected both, or --preset, found one alone")
        # A class that is not there is told before weights are downloaded.
        source = shown.images(images)
        first, second = (
            load_model(str(name), checkpoint=checkpoint, pretrained=self.pretrained)
            for name, checkpoint in zip(names, self.checkpoints, strict=True)
        )
        pair = image_pair(
            first,
            second,
            source,
            layer_a=self.layers[0],
            layer_b=self.layers[1],
            device=device,
            store=self.cache,
        )
        print_notes([*pair.notes, *([str(pair.unreadable)] if len(pair.unreadable) else [])])
        known = pair.labels if labels is None else labels
        return Inputs(pair.a, pair.b, (pair.ids, None), pair.names, pair.files, known, GAMMA, pair.item_names)


def from_files(
    sides: tuple[Path | None, Path | None],
    images: Path | None,
    labels: Path | None,
    ids: tuple[Path | None, Path | None],
    no_ids: bool,
) -> Inputs:
    """The files of embeddings, and their ids.

    Raises:
        ValueError: One of the files is not given, ids beside --no-ids.
    """
    a, b = sides
    if a is None or b is None:
        raise ValueError("A, B: expected two files of embeddings, or --model-a and --model-b with --images")
    found = _ids((a, ids[0]), (b, ids[1]), no_ids)
    return Inputs(a, b, found, (_name(a), _name(b)), images, labels, _GAMMA)


def _ids(a: tuple[Path, Path | None], b: tuple[Path, Path | None], none: bool) -> Any:
    """The ids of both sides: those given, else those beside the embeddings."""
    from diptych.embed import find_ids

    given = a[1], b[1]
    if none:
        if given != (None, None):
            raise ValueError("--no-ids: expected no --ids-a and --ids-b beside it")
        return None
    if given == (None, None):
        return "auto"
    return tuple(find_ids(path) if ids is None else ids for path, ids in (a, b))


def _name(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem
