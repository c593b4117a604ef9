"""``diptych tracing collect``: a web page that teaches classes of images and keeps the answers."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli._options import Seed
from diptych.cli._report import say


def collect(
    images: Annotated[
        Path | None, typer.Option(help="Folder that has a folder of images for each class.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File of answers; begun, or gone on with.")] = Path(
        "answers.sqlite"
    ),
    port: Annotated[int, typer.Option(help="Where the page is served; 0 for any that is free.")] = 8000,
    host: Annotated[
        str, typer.Option(help="What to listen on; by default this machine alone.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Further name that the server is called by; may be repeated.")
    ] = None,
    train: Annotated[int, typer.Option(help="Steps of a learner with feedback.")] = 30,
    test: Annotated[int, typer.Option(help="Steps without, after these.")] = 15,
    classes: Annotated[
        list[str] | None, typer.Option(help="These alone, separated by commas or repeated; default: all.")
    ] = None,
    seed: Seed = 0,
    export: Annotated[
        Path | None, typer.Option(help="Write the answers of --out as JSON lines, and serve nothing.")
    ] = None,
) -> None:
    """Serve a page where people learn to tell classes of images apart, and keep their answers."""
    from diptych.collect import Pictures, Ranking, listen, serve
    from diptych.collect import export as write
    from diptych.collect.serving import warning
    from diptych.embed._extras import require

    if export is not None:
        if images is not None:
            raise ValueError("--export: expected no --images beside it: it serves nothing")
        if export.suffix != ".jsonl":
            raise ValueError(f"--export: expected a file ending in .jsonl, found {export}")
        told = write(out, export)
        say(f"Answers: {told.steps}, learners: {told.learners}. Written to {export}")
        if told.left_out:
            say(f"Learners with fewer than two answers, left out: {told.left_out}")
        return
    if images is None:
        raise ValueError("--images: expected a folder of images, or --export, found neither")
    for package in ("fastapi", "uvicorn", "jinja2", "PIL"):
        require(package, "collect")
    if told_of := warning(host):
        say(told_of, stderr=True)
    with listen(host, port) as listening:
        pictures = Pictures(images, _names(classes), progress=True)
        kind = Ranking(pictures.names, pictures.classes, pictures.labels, train, test, seed)
        serve(kind, pictures, out, listening, host=host, allowed_hosts=allow_host or (), say=say)


def _names(classes: list[str] | None) -> list[str] | None:
    names = [name.strip() for entry in classes or () for name in entry.split(",")]
    return list(filter(None, names)) or None
