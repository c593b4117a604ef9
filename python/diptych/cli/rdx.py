"""``diptych rdx``: the experiments of the RDX study."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from diptych._files import atomic_path
from diptych.cli._report import say

app = typer.Typer(no_args_is_help=True, help="The experiments of the RDX study (thesis ch. 4).")


@app.callback()
def _group() -> None:
    """Keep ``mnist`` a subcommand while it is the only one."""


@app.command()
def mnist(
    out: Annotated[Path, typer.Option(help="Folder for the tables and the figure.")],
    seeds: Annotated[int, typer.Option(min=1, help="Repeat with this many seeds.")] = 1,
    ablations: Annotated[bool, typer.Option(help="Also run every variant of the method.")] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the seeds that --out holds.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the tables of an earlier run.")
    ] = False,
) -> None:
    """Seven pairs of models with known differences, RDX and all baselines: BSR and run time."""
    from diptych.plots import bsr_figure
    from diptych.rdx.evaluate import evaluate_mnist
    from diptych.rdx.tables import Evaluation

    if out.exists() and not resume:
        if not overwrite:
            raise FileExistsError(f"{out}: exists already; --resume, --overwrite or choose another --out")
        for folder in (*out.glob("seed-*"), out):
            Evaluation.remove(folder)
    found = Evaluation()
    for seed in range(seeds):
        part = out / f"seed-{seed}"
        if resume and Evaluation.is_saved(part):
            say(f"Seed {seed}: kept from before")
        else:
            evaluate_mnist(seeds=(seed,), ablations=ablations).save(part)
        saved = Evaluation.load(part)
        if bool(saved.ablations) != ablations:
            raise ValueError(f"{part}: was run with{'' if saved.ablations else 'out'} ablations")
        found.extend(saved)
    written = found.save(out)
    figure = out / "mnist_bsr.png"
    with atomic_path(figure) as temporary:
        bsr_figure(asdict(row) for row in found.scores).savefig(temporary, dpi=200)
    say(found.summary())
    for path in (*written, figure):
        say(f"  {path}")
