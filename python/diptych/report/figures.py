"""The pictures that lie beside the page, and those inside it."""

import base64
import io
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from diptych._pictures import Pictures
from diptych.plots import explanation_grid, pca_panels
from diptych.plots.projection import Projection
from diptych.rdx.results import RDXResult
from diptych.report.folder import EXPLANATIONS, MAPS

_DPI = 110
_PAGE_DPI = 120


def png(figure: Figure) -> bytes:
    """A figure as PNG, for a page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=_PAGE_DPI, format="png")
    return buffer.getvalue()


def uri(image: bytes) -> Markup:
    """A PNG as a data URI."""
    return Markup(f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}")


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
