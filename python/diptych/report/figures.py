"""The pictures that lie beside the page."""

from pathlib import Path

from diptych._pictures import Pictures
from diptych.plots import explanation_grid, pca_panels
from diptych.plots.projection import Projection
from diptych.rdx.results import RDXResult
from diptych.report.folder import EXPLANATIONS, MAPS

_DPI = 110


def write_figures(
    folder: Path,
    result: RDXResult,
    *,
    images: Pictures | None,
    labels: list[str] | None,
    names: list[str] | None,
    projections: tuple[Projection, Projection] | None,
) -> None:
    """Write the grids of both directions, and the maps where there are embeddings, as PNG."""
    for side, name in EXPLANATIONS.items():
        figure = explanation_grid(result, side, images, labels=labels, item_names=names)
        figure.savefig(folder / name, dpi=_DPI)
    if projections is not None:
        pca_panels(result, projections).savefig(folder / MAPS, dpi=_DPI)
