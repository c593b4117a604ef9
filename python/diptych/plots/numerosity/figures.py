"""The figures of numerosity by name."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from diptych.numerosity.results import NumberLine
from diptych.ops import _checks
from diptych.plots.numerosity import (
    action_errors,
    covariates,
    distances,
    embedding,
    islands,
    quantity,
    several,
)
from diptych.plots.numerosity import (
    scenes as pictures,
)
from diptych.plots.numerosity.runs import Run, RunsError, runs_of

_SCENES = "appendix_7_14"

_DRAWN: dict[str, tuple[str, Callable[[list[Run]], Figure]]] = {
    "main_7_3": ("Action error over number of objects", action_errors.figure),
    "main_7_4": ("The embedding, its islands and the links between them", embedding.figure),
    "main_7_5": ("Perceived number: relative and absolute quantity", quantity.figure),
    "appendix_7_1": ("What grows with number: intensity, area and hull", covariates.by_count),
    "appendix_7_2": ("Linear approximation error over the embedding’s width", several.widths),
    "appendix_7_3": ("Islands and subitizing limit over the smallest island", islands.sweep),
    "appendix_7_4": ("The order of islands along puts and takes", islands.order),
    "appendix_7_5": ("Distances that actions move a scene", distances.figure),
    "appendix_7_6": ("Psychometric curves against 3, 9, 16 and 24", quantity.references),
    "appendix_7_7": ("Errors of judgement by change of mean intensity", covariates.errors("mean_intensity")),
    "appendix_7_8": ("Errors of judgement by change of summed area", covariates.errors("summed_area")),
    "appendix_7_9": ("Errors of judgement by change of the hull’s area", covariates.errors("hull_area")),
    "appendix_7_10": ("Training on up to 3, 5 and 8 objects", action_errors.limits),
    "appendix_7_11": ("Jittered size and contrast", embedding.with_quantity("jitter")),
    "appendix_7_12": ("Imprecise actions", embedding.with_quantity("imprecise")),
    "appendix_7_13": ("Reproducibility over seeds", several.seeds),
}

#: What each figure shows, by name.
NUMEROSITY_FIGURES: dict[str, str] = {
    **{name: title for name, (title, _) in _DRAWN.items()},
    _SCENES: "Scenes of each data set",
}


def numerosity_figure(
    name: str,
    lines: NumberLine | Mapping[str, NumberLine] | None = None,
    *,
    scenes: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> Figure:
    """Draw one of the :data:`NUMEROSITY_FIGURES`.

    The thesis numbers its figures 7.1 to 7.5 twice, in the chapter and in its appendix: ``main_7_3`` to
    ``main_7_5`` follow Figs 3 to 6 of Kondapaneni & Perona, Scientific Reports 14:6858 (2024), doi
    10.1038/s41598-024-56828-2. Which figure of the appendix shows what is our reading; its captions were not
    at hand.

    Runs are told apart by their names, which are those of a study, "B-limit3-d2-seed0" (data set, most
    objects trained on, features, seed), or any others. Figures of one run take the main one of each data set:
    limit 3, two features, lowest seed; a run with another name is a data set of its own. ``appendix_7_2``,
    ``appendix_7_10`` and ``appendix_7_13`` take runs that differ in width, limit and seed.

    Args:
        name: Of the figure.
        lines: A number line, or several by name.
        scenes: Images by data set, for ``appendix_7_14`` alone: (n, h, w) or (n, c, h, w) with c = 1 or 3;
            uint8, or float in [0, 1].
        limit: Most objects that were trained on, where a run's name does not tell; none is drawn without.

    Raises:
        TypeError: Not number lines, or not images.
        ValueError: No such figure; the runs, or the parts of their analysis, that it needs are missing (the
            message names them); more than six data sets; a limit below 1.
    """
    _checks.one_of("name", name, tuple(NUMEROSITY_FIGURES))
    if limit is not None:
        _checks.integer("limit", limit, 1)
    if name == _SCENES:
        if scenes is None:
            raise RunsError("scenes: expected images by data set for 'appendix_7_14', found none")
        return pictures.figure(scenes)
    if lines is None:
        raise RunsError(f"lines: expected number lines for {name!r}, found none")
    return _DRAWN[name][1](runs_of(lines, limit))
