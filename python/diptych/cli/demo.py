"""``diptych demo``: the main job on real data that ships with a package, in under three minutes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from diptych.cli._report import check_report, write_report


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")] = Path("diptych-demo"),
    seed: Annotated[int, typer.Option(help="Of training and comparison.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
) -> None:
    """Train two small networks on MNIST, one of which is told that 5 is 3, and explain the difference."""
    check_report(out, overwrite)
    from diptych import rdx
    from diptych.rdx.data import load_mnist, relabel
    from diptych.rdx.train import embed, train

    console = Console()
    console.print("Loading 5,000 images of handwritten digits")
    digits = load_mnist()
    embeddings = []
    for name, data in (("M_35, for which every 5 is a 3", relabel(digits, {5: 3})), ("M_b", digits)):
        console.print(f"Training {name}")
        training = train(data, seed=seed)
        console.print(f"  {training.accuracy:.1%} of its training images right, {training.seconds:.0f} s")
        embeddings.append(embed(training.model, digits.images))
    console.print("Comparing what they group together\n")
    result = rdx.compare(*embeddings, n_explanations=3, seed=seed)
    result.names = ("M_35", "M_b")
    write_report(result, out, images=digits.images, labels=digits.digits.tolist(), overwrite=overwrite)
