"""``diptych numerosity test`` and ``analyze``: what a trained network makes of numbers."""

from pathlib import Path
from typing import Annotated

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
from diptych.cli._report import check_report, say


def examine(
    net: Annotated[Path, typer.Argument(help="Network, or the folder that train wrote.")],
    out: Annotated[Path, typer.Option(help="File for what it makes of the scenes, .npz.")],
    dataset: Dataset = "B",
    objects: Objects = None,
    backgrounds: Backgrounds = None,
    highest: Highest = 30,
    each: Each = 150,
    actions: Actions = 2000,
    limit: Limit = None,
    seed: Seed = 0,
    batch_size: BatchSize = 64,
    device: Device = None,
) -> None:
    """Show a trained network scenes of every number, and have it name actions."""
    if out.suffix != ".npz":
        raise ValueError(f"--out: expected a file ending in .npz, found {out}")
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another --out")
    from diptych.numerosity import evaluate

    found = evaluate(
        read_net(net),
        scenes_given(dataset, objects, backgrounds),
        highest=highest,
        each=each,
        actions=actions,
        limit=limit,
        seed=seed,
        batch_size=batch_size,
        device=device,
    )
    found.save(out)
    say(f"{found.accuracy:.1%} of {actions} actions on up to {found.about['limit']} objects named rightly")
    say(f"\nEvaluation: {out}")


def analyze(
    evaluation: Annotated[Path, typer.Argument(help="What test wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for the page, tables and figures.")],
    reference: Reference = 16,
    min_cluster_size: MinClusterSize = 90,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Look for the number line in what a network made of scenes."""
    check_report(out, overwrite=overwrite)
    from diptych.numerosity import Evaluation

    found = Evaluation.load(evaluation)
    line = found.analyze(reference=reference, min_cluster_size=min_cluster_size, seed=seed)
    show(line, out, found.taught)
