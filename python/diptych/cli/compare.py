"""``diptych compare``: two files of embeddings, or two models and images, in, an illustrated report out."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from diptych.cli._aligned import announce, check_reports, clear_workspaces, print_alignments
from diptych.cli._compare_inputs import Inputs, Models, from_files
from diptych.cli._options import Device, LayoutName, Seed
from diptych.cli._report import check_pictures, print_profile, write_report
from diptych.cli._shown_images import Shown
from diptych.cli._words import (
    DescribeCache,
    DescribeKeyFrom,
    DescribeModel,
    Describer,
    DescribeUrl,
    describer,
)


def compare(
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    a: Annotated[
        Path | None,
        typer.Argument(help="(n, d) embeddings: .npy, .npz, .safetensors, .pt, or a folder of shards."),
    ] = None,
    b: Annotated[
        Path | None, typer.Argument(help="(n, d) embeddings of the same items in the same order.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of n images, or .npy of (n, h, w[, 3]).")
    ] = None,
    model_a: Annotated[
        str | None, typer.Option(help="timm:NAME, to embed the images instead of reading A.")
    ] = None,
    model_b: Annotated[str | None, typer.Option(help="timm:NAME, instead of B.")] = None,
    preset: Annotated[
        Literal["dino-dinov2", "clip-inat"] | None, typer.Option(help="A pair of models by name.")
    ] = None,
    layout: Annotated[
        LayoutName, typer.Option(help="How the folder of the models' images is laid out.")
    ] = "folder",
    classes: Annotated[
        list[str] | None,
        typer.Option(
            help="Show models these alone: a group of the study (mittens, gibbons, trolleybus, whippet, "
            "maples, corvids, gators), or names of classes, separated by commas or repeated."
        ),
    ] = None,
    images_per_class: Annotated[
        int | None, typer.Option(help="Of each class, chosen at random; default of --classes: 500.")
    ] = None,
    layer_a: Annotated[str, typer.Option(help="Of model A: a module path.")] = "embedding",
    layer_b: Annotated[str, typer.Option(help="Of model B.")] = "embedding",
    checkpoint_a: Annotated[Path | None, typer.Option(help="Local weights of model A.")] = None,
    checkpoint_b: Annotated[Path | None, typer.Option(help="Local weights of model B.")] = None,
    pretrained: Annotated[bool, typer.Option(help="Without, models' weights are random.")] = True,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep the models' embeddings in.")] = None,
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
    gamma: Annotated[
        float | None, typer.Option(help="Sensitivity of the difference; default 0.1, of models 0.05.")
    ] = None,
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
        list[str] | None,
        typer.Option(
            metavar="[none|a_to_b|b_to_a|all]",
            help="Map one towards the other first; repeated, each has its report in a folder of --out.",
        ),
    ] = None,
    conventions: Annotated[
        Literal["default", "paper", "published-code"], typer.Option(help="How grids are chosen.")
    ] = "default",
    seed: Seed = 0,
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
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
    describe_url: DescribeUrl = None,
    describe_model: DescribeModel = None,
    describe_key_from: DescribeKeyFrom = None,
    describe_cache: DescribeCache = None,
) -> None:
    """Explain what A groups together that B does not, and the other way round."""
    from diptych.cli._torchrun import process_group

    with process_group(device) as (place, rank):
        from diptych import rdx
        from diptych.rdx.aligned import check_aligns, place_of
        from diptych.rdx.team import restarted

        aligns = check_aligns(align or "none")
        if not rank:
            check_reports(out, aligns, overwrite)
        options = describe_url, describe_model, describe_key_from, describe_cache
        asked = None if rank else describer(*options, images=images)
        models = Models(
            (model_a, model_b), preset, (layer_a, layer_b), (checkpoint_a, checkpoint_b), pretrained, cache
        )
        shown = Shown(layout, classes, images_per_class, seed)
        if models.wanted:
            inputs = models.embedded(images, labels, (a, b, ids_a, ids_b), place, rank, shown)
        else:
            shown.demand_none()
            inputs = from_files((a, b), images, labels, (ids_a, ids_b), no_ids)
        if not rank:
            check_pictures(inputs.images, inputs.labels, inputs.items())
        results = rdx.compare_aligned(
            inputs.a,
            inputs.b,
            aligns=aligns,
            n_explanations=n_explanations,
            grid_size=grid_size,
            gamma=inputs.gamma if gamma is None else gamma,
            beta=beta,
            distance=distance,
            difference=difference,
            sampling=sampling,
            conventions=conventions,
            seed=seed,
            ids=inputs.ids,
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
        names = (name_a or inputs.names[0], name_b or inputs.names[1])
        for each, result in results.items():
            announce(each, results)
            if profile:
                print_profile(result)
            result.names = names
            _write(result, place_of(out, each, aligns), inputs, asked, overwrite)
        print_alignments(results)
        if workspace is not None:
            clear_workspaces(workspace, aligns)


def _write(result: Any, folder: Path, inputs: Inputs, asked: Describer | None, overwrite: bool) -> None:
    """Have the grids described, if that is wanted, and write the page."""
    write_report(
        result,
        folder,
        images=inputs.images,
        labels=inputs.labels,
        item_names=inputs.item_names,
        overwrite=overwrite,
        **({} if asked is None else asked.of_grids(result, inputs.images)),
    )
