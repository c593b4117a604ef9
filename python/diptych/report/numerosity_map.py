"""The numbers behind the map of a number line, packed small enough to travel inside the page."""

from typing import Any

import numpy as np

from diptych.numerosity.results import NumberLine
from diptych.plots.numerosity.embedding import line_is_plane, plane
from diptych.plots.style import CLUSTER_COLORS
from diptych.report.maps import MAP_ITEMS, packed, packed_points


def map_data(line: NumberLine, limit: int = MAP_ITEMS) -> dict[str, Any] | None:
    """Everything the map needs, as JSON values; None without embeddings.

    Args:
        line: The number line.
        limit: Most items that are shown; of more a random part is.
    """
    if line.embeddings is None:
        return None
    n = len(line.counts)
    items = np.arange(n)
    if n > limit:
        items = np.sort(np.random.default_rng(0).permutation(n)[:limit])
    found = plane(line)
    return {
        "shown": len(items),
        "items": packed(items, "<i4"),
        "points": packed_points(found.points[items]),
        "axes": list(found.names),
        "equal": line_is_plane(line),
        "counts": packed(line.counts[items], "<i4"),
        "perceived": packed(line.perceived[items], "<f4"),
        "islands": packed(line.islands.labels[items], "<i4"),
        "majority": line.islands.majority.tolist(),
        "palette": list(CLUSTER_COLORS),
    }
