"""``diptych compare``: two files of embeddings in, an illustrated report out."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from diptych.cli._report import check_pictures, check_report, print_profile, write_report


def compare(
    a: Annotated[
        Path,
        typer.Argument(help="(n, d) embeddings: .npy, .npz, .safetensors, .pt, or a folder of shards."),
    ],
    b: Annotated[Path, typer.Argument(help="(n, d) embeddings of the same items in the same order.")],
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of n images, or .npy of (n, h, w[, 3]).")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV of n labels.")] = None,
    ids_a: Annotated[
        Path | None, typer.Option(help="Ids of A's items: .npy or .txt; default: those beside A.")
    ] = None,
    ids_b: Annotated[Path | None, typer.Option(help="Ids of B's items, the same in the same order.")] = None,
    no_ids: Annotated[bool, typer.Option("--no-ids", help="Look for no ids.")] = False,
    name_a: Annotated[str | None, typer.Option(help="What to call A; default: its file name.")] = None,
    name_b: Annotated[str | None, typer.Option(help="What to call B; default: its file name.")] = None,
    n_explanations: Annotated[int, typer.Option("--n-explanations", "-m", help="Per direction.")] = 5,
    grid_size: Annotated[int, typer.Option(help="Items per explanation.")] = 9,
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
    precision: Annotated[
        Literal["auto", "float32", "int8", "sampled"],
        typer.Option(help="Two float32 matrices, one byte a pair for large n, or a sample of the pairs."),
    ] = "auto",
    neighbors: Annotated[
        int | None, typer.Option(help="Sample: of each item keep so many nearest, in A and in B.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Sample: and so many of its other pairs.")] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Folder for finished parts, so that the job can be resumed.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what the workspace holds.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Print where the time went.")] = False,
    device: Annotated[str | None, typer.Option(help="Where to compute, e.g. cuda.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
) -> None:
    """Explain what A groups together that B does not, and the other way round."""
    from diptych.cli._torchrun import process_group

    with process_group(device) as (place, rank):
        if not rank:
            check_report(out, overwrite)
        from diptych import rdx
        from diptych.embed.files import count_items
        from diptych.rdx.checkpoint import clear
        from diptych.rdx.team import restarted

        ids = _ids((a, ids_a), (b, ids_b), no_ids)
        if not rank:
            check_pictures(images, labels, count_items(a))
        result = rdx.compare(
            a,
            b,
            n_explanations=n_explanations,
            grid_size=grid_size,
            gamma=gamma,
            beta=beta,
            distance=distance,
            difference=difference,
            sampling=sampling,
            align=None if align == "none" else align,
            conventions=conventions,
            seed=seed,
            ids=ids,
            precision=precision,
            neighbors=neighbors,
            samples=samples,
            workspace=workspace,
            resume=resume or (workspace is not None and restarted()),
            profile=profile,
            distributed=rank is not None,
            device=place,
        )
        if rank:
            return
        if profile:
            print_profile(result)
        result.names = (name_a or _name(a), name_b or _name(b))
        write_report(result, out, images=images, labels=labels, overwrite=overwrite)
        if workspace is not None:
            clear(workspace)


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
