"""``diptych rsvc toy``: does RSVC find the concept that only one of two networks has?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych._files import atomic_path
from diptych.cli._report import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from diptych.rsvc.toy import ToySettings


def toy(
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and trained weights.")],
    seeds: Annotated[int, typer.Option(min=1, help="Repeat with this many seeds.")] = 3,
    depth: Annotated[list[int] | None, typer.Option(help="Convolutions, 4 or more; may be repeated.")] = None,
    epochs: Annotated[list[int] | None, typer.Option(help="Of training; may be repeated.")] = None,
    digit: Annotated[int, typer.Option(help="The class with the square.")] = 3,
    per_digit: Annotated[int, typer.Option(help="Use at most so many images of a digit.")] = 500,
    variations: Annotated[
        bool, typer.Option(help="Also vary the training: seed, classes, data, initial weights.")
    ] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the trained weights in --out.")] = False,
) -> None:
    """Train networks on color MNIST, one of which knows a digit by a pink square; compare their concepts.

    The first --depth and the first --epochs are varied one at a time by the further ones.
    """
    settings = _settings(depth or [4], epochs or [12], digit, per_digit)
    if out.exists() and not resume:
        raise FileExistsError(f"{out}: exists already; --resume it or choose another --out")
    from diptych.plots import toy_concepts, toy_similarity, variation_similarity
    from diptych.rsvc.toy import toy_experiment
    from diptych.rsvc.toy_tables import ToyTables
    from diptych.rsvc.variations import variation_experiment, variation_summary

    tables, weights = ToyTables(), out / "weights"
    for each in settings:
        for seed in range(seeds):
            run = toy_experiment(each, seed=seed, weights=weights)
            tables.add(run)
            tables.save(out)
            if seed == 0:
                name = f"rsvc_toy_concepts-depth{each.depth}-epochs{each.epochs}.png"
                _save(toy_concepts(run), out / name, 120)
    _save(toy_similarity(tables.concepts), out / "rsvc_toy.png", 150)
    lines = [tables.summary()]
    if variations:
        for seed in range(seeds):
            tables.variations += variation_experiment(settings[0], seed=seed, weights=weights)
            tables.save(out)
        _save(variation_similarity(tables.variations), out / "rsvc_variations.png", 150)
        lines.append(variation_summary(tables.variations))
    say("\n\n".join(lines))
    say(f"\nTables and figures: {out}")


def _settings(depths: list[int], epochs: list[int], digit: int, per_digit: int) -> list["ToySettings"]:
    from diptych.rsvc.toy import ToySettings

    pairs = [(depth, epochs[0]) for depth in depths] + [(depths[0], passes) for passes in epochs[1:]]
    return [
        ToySettings(digit=digit, depth=depth, epochs=passes, per_digit=per_digit, held_out=2 * per_digit // 5)
        for depth, passes in pairs
    ]


def _save(figure: "Figure", path: Path, dpi: int) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
