"""``diptych rsvc run``: two models and a folder of images in, their concepts compared class by class out."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from diptych.cli import _rsvc_options as options
from diptych.cli._options import Device, Resume, Seed
from diptych.cli._report import check_report, repeat_command, say
from diptych.cli._words import (
    DescribeCache,
    DescribeKeyFrom,
    DescribeModel,
    Describer,
    DescribeUrl,
    describer,
)

# Concepts that the summary shows of each network.
_SHOWN = 5

# Folder of the page in that of the results.
_REPORT = "report"


def run(
    model_1: options.Model1,
    model_2: options.Model2,
    images: options.Images,
    out: options.Out,
    layout: options.Layout = "folder",
    split: options.Split = "all",
    checkpoint_1: options.Checkpoint1 = None,
    checkpoint_2: options.Checkpoint2 = None,
    pretrained: options.Pretrained = True,
    layer_1: Annotated[str, typer.Option(help="Module path, or what enters the classifier.")] = "embedding",
    layer_2: Annotated[str, typer.Option(help="The same of model 2.")] = "embedding",
    classes: options.Classes = None,
    images_per_class: Annotated[int, typer.Option(help="Of each network, to extract concepts from.")] = 100,
    eval_images_per_class: Annotated[int, typer.Option(help="Of each network, to measure on.")] = 50,
    k: Annotated[int, typer.Option("--k", help="Concepts of each network and class.")] = 10,
    alpha: Annotated[float, typer.Option(help="Weight of the lasso's penalty.")] = 0.1,
    conventions: Annotated[
        Literal["default", "published-code"], typer.Option(help="Patches and replacement test.")
    ] = "default",
    seed: Seed = 0,
    device: Device = None,
    precision: options.Precision = "float32",
    batch_size: options.BatchSize = 64,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for activations, shared by runs; default: in --out.")
    ] = None,
    table_format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="parquet also writes the tables as such.")
    ] = "csv",
    resume: Resume = False,
    report: Annotated[
        bool, typer.Option(help="Write a page that shows the concepts, to --out/report.")
    ] = True,
    describe_url: DescribeUrl = None,
    describe_model: DescribeModel = None,
    describe_key_from: DescribeKeyFrom = None,
    describe_cache: DescribeCache = None,
) -> None:
    """Compare two image models concept by concept, in every class that both predict."""
    asked = describer(describe_url, describe_model, describe_key_from, describe_cache, images=images)
    if asked is not None and not report:
        raise ValueError("--describe-model: expected a page to show its words, found --no-report")
    if report:
        # The page of an earlier start with --resume is made anew.
        check_report(out / _REPORT, overwrite=True)
    from diptych import rsvc

    source = options.opened(images, layout, split)
    first, second = options.loaded((model_1, model_2), (checkpoint_1, checkpoint_2), pretrained)
    result = rsvc.run(
        first,
        second,
        source,
        out=out,
        layer_1=layer_1,
        layer_2=layer_2,
        classes=options.classes_given(classes),
        images_per_class=images_per_class,
        eval_images_per_class=eval_images_per_class,
        k=k,
        alpha=alpha,
        conventions=conventions,
        seed=seed,
        device=device,
        precision=precision,
        batch_size=batch_size,
        cache=cache,
        resume=resume,
        table_format=table_format,
    )
    say(result.summary())
    if len(result):
        Console().print(_table(result))
    say(f"\nResults: {out}")
    if report and len(result):
        _write_page(result, out / _REPORT, source, first, asked)


def _write_page(result: Any, folder: Path, images: Any, model: Any, asked: Describer | None) -> None:
    """Have the concepts that are shown described, if that is wanted, write the page and say where it is."""
    from diptych.report import run_patches, write_rsvc_run

    said = {} if asked is None else asked.of_concepts(result, run_patches(result, images, model))
    written = write_rsvc_run(
        result, folder, images=images, model=model, command=repeat_command(), overwrite=True, **said
    )
    say(f"Report: {written / 'index.html'}")


def _table(result: Any) -> Table:
    columns = ("class_name", "network", "concept", "cmcs", "smcs", "importance")
    table = Table(*columns, title="Concepts that the other network expresses least beside its own")
    for row in result.least_expressed(_SHOWN).loc[:, columns].itertuples(index=False):
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    return table
