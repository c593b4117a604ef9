"""``diptych numerosity probe``: does a network, or an embedding, have a number line?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from diptych.cli._numerosity_options import (
    Actions,
    Backgrounds,
    BatchSize,
    Dataset,
    Each,
    Highest,
    Limit,
    MinClusterSize,
    Objects,
    Overwrite,
    Reference,
    read_net,
    scenes_given,
    show,
)
from diptych.cli._options import Device, Seed
from diptych.cli._report import check_report

if TYPE_CHECKING:
    from diptych.embed import ImageModel
    from diptych.numerosity import NumberNet


def probe(
    source: Annotated[
        str, typer.Argument(help="timm:NAME, a trained NumberNet (its folder), or a file of embeddings.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the page, tables and figures.")],
    counts: Annotated[
        Path | None, typer.Option(help="Objects in each scene of the embeddings: .npy, or numbers in text.")
    ] = None,
    layer: Annotated[
        str, typer.Option(help="Of a timm model: module path, logits or embedding.")
    ] = "embedding",
    checkpoint: Annotated[Path | None, typer.Option(help="Local weights of a timm model.")] = None,
    pretrained: Annotated[bool, typer.Option(help="Without, weights are random.")] = True,
    dataset: Dataset = "B",
    objects: Objects = None,
    backgrounds: Backgrounds = None,
    highest: Highest = 30,
    each: Each = 150,
    actions: Actions = 2000,
    taught: Annotated[int, typer.Option(help="Most objects in the scenes of actions that are taught.")] = 3,
    limit: Limit = None,
    reference: Reference = 16,
    min_cluster_size: MinClusterSize = 90,
    seed: Seed = 0,
    batch_size: BatchSize = 64,
    device: Device = None,
    overwrite: Overwrite = False,
) -> None:
    """Look for a number line in a layer of an image model, a trained network, or an embedding of scenes."""
    check_report(out, overwrite=overwrite)
    from diptych.numerosity import respond
    from diptych.report.folder import EVALUATION

    found = respond(
        _opened(source, checkpoint, pretrained),
        None if counts is None else _read_counts(counts),
        layer=layer,
        dataset=scenes_given(dataset, objects, backgrounds),
        highest=highest,
        each=each,
        taught=taught,
        limit=limit,
        actions=actions,
        seed=seed,
        batch_size=batch_size,
        device=device,
    )
    options = {"reference": reference, "min_cluster_size": min_cluster_size, "seed": seed}
    show(found.analyze(name=source, **options), out, found.taught)
    found.save(out / EVALUATION)


def _opened(source: str, checkpoint: Path | None, pretrained: bool) -> "ImageModel | NumberNet | str":
    """The model that is meant, or the path of embeddings as it is."""
    from diptych.embed import load_model
    from diptych.numerosity.train import NET

    if source.startswith("timm:"):
        return load_model(source, checkpoint=checkpoint, pretrained=pretrained)
    if checkpoint is not None:
        raise ValueError(f"--checkpoint: expected a timm:NAME beside it, found {source}")
    path = Path(source)
    return read_net(path) if (path / NET).is_file() or path.name == NET else source


def _read_counts(path: Path) -> np.ndarray:
    """Whole numbers of a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        found = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, ndmin=1)
        whole = found.astype(np.int64)
        if found.ndim != 1 or not np.array_equal(whole, found):
            raise ValueError("expected one whole number for each scene")
    except (ValueError, TypeError, EOFError) as error:
        raise ValueError(f"{path}: not a file of counts: {error}") from error
    return whole
