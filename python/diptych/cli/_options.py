"""Options that mean the same in several commands."""

from typing import Annotated, Literal

import typer

Seed = Annotated[int, typer.Option(help="The result is the same for a seed.")]
Device = Annotated[str | None, typer.Option(help="Where to compute, e.g. cuda.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what --out holds.")]

#: Layouts of folders of images, as :func:`diptych.embed.read_images` takes them; written out, for the help of
#: a command does not wait until torch is imported.
LayoutName = Literal["folder", "inaturalist", "nabirds", "stanford-cars"]
