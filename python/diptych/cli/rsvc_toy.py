"""``diptych rsvc toy``: does RSVC find the concept that only one of two networks has?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from diptych._files import atomic_path


def toy(
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and trained weights.")],
    seeds: Annotated[int, typer.Option(min=1, help="Repeat with this many seeds.")] = 3,
    depth: Annotated[list[int] | None, typer.Option(help="Convolutions; may be repeated.")] = None,
    epochs: Annotated[list[int] | None, typer.Option(help="Of training; may be repeated.")] = None,
    digit: Annotated[int, typer.Option(help="The class with the square.")] = 3,
    per_digit: Annotated[int, typer.Option(help="Use at most so many images of a digit.")] = 500,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the trained weights in --out.")] = False,
) -> None:
    """Train networks on color MNIST, on one digit with a pink square and on all, and compare their concepts.

    Every --depth is run with every --epochs.
    """
    if out.exists() and not resume:
        raise FileExistsError(f"{out}: exists already; --resume it or choose another --out")
    from diptych.plots import toy_concepts, toy_similarity
    from diptych.rsvc.toy import ToySettings, toy_experiment
    from diptych.rsvc.toy_tables import ToyTables

    settings = [
        ToySettings(
            digit=digit,
            depth=each,
            epochs=passes,
            per_digit=per_digit,
            held_out=3 * per_digit // 10,
        )
        for each in depth or [4]
        for passes in epochs or [12]
    ]
    console = Console()
    tables = ToyTables()
    for each in settings:
        for seed in range(seeds):
            run = toy_experiment(each, seed=seed, weights=out / "weights")
            tables.add(run)
            tables.save(out)
            if seed == 0:
                name = f"rsvc_toy_concepts-depth{each.depth}-epochs{each.epochs}.png"
                with atomic_path(out / name) as temporary:
                    toy_concepts(run).savefig(temporary, dpi=120)
    with atomic_path(out / "rsvc_toy.png") as temporary:
        toy_similarity(tables.concepts).savefig(temporary, dpi=200)
    console.print(tables.summary(), markup=False, highlight=False)
    console.print(f"\nTables and figures: {out}", markup=False, highlight=False, soft_wrap=True)
