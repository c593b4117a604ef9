"""``diptych compare``: two files of embeddings in, an illustrated report out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diptych.cli._report import check_pictures, check_report, write_report


def compare(
    a: Annotated[Path, typer.Argument(help="(n, d) embeddings: .npy, .npz, .safetensors or .pt.")],
    b: Annotated[Path, typer.Argument(help="(n, d) embeddings of the same items in the same order.")],
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of n images, or .npy of (n, h, w[, 3]).")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV of n labels.")] = None,
    name_a: Annotated[str | None, typer.Option(help="What to call A; default: its file name.")] = None,
    name_b: Annotated[str | None, typer.Option(help="What to call B; default: its file name.")] = None,
    n_explanations: Annotated[int, typer.Option("--n-explanations", "-m", help="Per direction.")] = 5,
    grid_size: Annotated[int, typer.Option(help="Items per explanation.")] = 9,
    neighbors: Annotated[
        int | None,
        typer.Option(help="Keep only so many of each item's nearest and some samples: for large n."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="How many other pairs of an item are kept then.")
    ] = None,
    gamma: Annotated[float, typer.Option(help="Sensitivity of the difference.")] = 0.1,
    beta: Annotated[float, typer.Option(help="Sharpness of the affinity.")] = 5.0,
    distance: Annotated[
        Literal["neighborhood", "max", "local"], typer.Option(help="Distance between items.")
    ] = "neighborhood",
    difference: Annotated[
        Literal["locally_biased", "subtraction"], typer.Option(help="Difference of distances.")
    ] = "locally_biased",
    sampling: Annotated[
        Literal["spectral", "pagerank"], typer.Option(help="How groups are found.")
    ] = "spectral",
    align: Annotated[
        Literal["none", "a_to_b", "b_to_a"], typer.Option(help="Map one towards the other first.")
    ] = "none",
    conventions: Annotated[
        Literal["default", "paper", "published-code"], typer.Option(help="How grids are chosen.")
    ] = "default",
    seed: Annotated[int, typer.Option(help="The result is the same for a seed.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where to compute, e.g. cuda.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
) -> None:
    """Explain what A groups together that B does not, and the other way round."""
    check_report(out, overwrite)
    from diptych import rdx
    from diptych.embed import load_embedding

    check_pictures(images, labels, len(load_embedding(a)))

    result = rdx.compare(
        a,
        b,
        n_explanations=n_explanations,
        grid_size=grid_size,
        neighbors=neighbors,
        samples=samples,
        gamma=gamma,
        beta=beta,
        distance=distance,
        difference=difference,
        sampling=sampling,
        align=None if align == "none" else align,
        conventions=conventions,
        seed=seed,
        device=device,
    )
    result.names = (name_a or a.stem, name_b or b.stem)
    write_report(result, out, images=images, labels=labels, overwrite=overwrite)
