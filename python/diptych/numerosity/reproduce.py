"""The chapter's study again: networks trained, tested and analyzed, beside what the thesis found."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from diptych._checkpoint import JobFolder, check_folder, unless_refused
from diptych._tables import write_csv
from diptych.numerosity.claims import Claim, Run, claims
from diptych.numerosity.evaluate import Evaluation, evaluate
from diptych.numerosity.models import Stem
from diptych.numerosity.results import NumberLine
from diptych.numerosity.schedule import Precision
from diptych.numerosity.stem import stem_at_hand
from diptych.numerosity.train import train
from diptych.ops import _checks

BudgetName = Literal["small", "single", "full"]

#: The table of a study.
CLAIMS = "claims.csv"

KIND = "study of numerosity"

# HDBSCAN's least cluster by data set, the thesis'.
_MIN_CLUSTER_SIZE = {"A": 90, "B": 90, "jitter": 30, "imprecise": 50}


@dataclass(frozen=True)
class Budget:
    """How much is trained.

    Attributes:
        runs: The networks.
        batches: Steps of an epoch.
        pairs: Actions of a step.
        validation: Sequences of a validation.
        each: Scenes of each count in a test.
        precision: Of the convolutions in training.
    """

    runs: tuple[Run, ...]
    batches: int
    pairs: int = 180
    validation: int = 3
    each: int = 150
    precision: Precision = "32-true"


def _full_runs() -> Iterator[Run]:
    for dataset in ("A", "B"):
        yield from (Run(dataset, seed) for seed in range(30))
        yield from (Run(dataset, 0, limit) for limit in (5, 8))
        yield from (Run(dataset, 0, 3, dimension) for dimension in (1, 8, 16, 64, 256))
    yield Run("jitter")
    yield Run("imprecise")


# B takes longer to learn.
_SMALL_RUNS = (Run("A", epochs=6), Run("B", epochs=13))

#: What is trained for each budget: the first takes 20 minutes on two cores that know bfloat16, the second an
#: hour and a half, the third is for a GPU.
BUDGETS: dict[BudgetName, Budget] = {
    "small": Budget(_SMALL_RUNS, batches=16, validation=1, precision="bf16-mixed"),
    "single": Budget((Run("A"), Run("B")), batches=30, precision="bf16-mixed"),
    "full": Budget(tuple(_full_runs()), batches=30),
}


@dataclass(frozen=True)
class Study:
    """What :func:`reproduce` made.

    Attributes:
        folder: Where it lies: a folder of each run, and ``claims.csv``.
        stem: The stem of all networks.
        lines: The number line of each run, by name.
        claims: The findings.
    """

    folder: Path
    stem: Stem
    lines: dict[str, NumberLine]
    claims: tuple[Claim, ...]

    def summary(self) -> str:
        """The findings in plain words, a line each, and which stem was used."""
        lines = [f"{len(self.lines)} networks on the stem {self.stem!r}"]
        for each in self.claims:
            found = f"{each.found:.3g}" if np.isnan(each.spread) else f"{each.found:.3g} ± {each.spread:.2g}"
            word = "reached" if each.holds else "not reached"
            of = f", by {each.reached} of {each.seeds} seeds" if each.seeds > 1 else ""
            lines.append(f"{each.runs}: {each.claim}: {found}, wanted {each.wanted}: {word}{of}")
        return "\n".join(lines)


def reproduce(
    out: str | os.PathLike[str],
    *,
    budget: BudgetName = "small",
    stem: Stem | None = None,
    resume: bool = False,
    device: str | None = None,
    progress: bool = True,
) -> Study:
    """Train the study's networks, test them on up to 30 objects, and set the findings beside the thesis'.

    Args:
        out: Folder for everything; made if need be.
        budget: ``"small"``: data sets A and B, one seed of each, on a ninth and a quarter of the thesis'
            162,000 pairs; ``"single"``: the same two on all of them; ``"full"``: 30 seeds of each, limits of
            5 and 8 objects, wider embeddings, jitter and imprecise actions, on all of them.
        stem: As :func:`diptych.numerosity.train` takes it.
        resume: Go on with what ``out`` holds of this very study.
        device: As :func:`diptych.numerosity.train` takes it.
        progress: Show bars on stderr.

    Raises:
        FileExistsError: ``out`` holds something and ``resume`` was not asked for.
        FloatingPointError: A training whose loss is not finite; ``resume`` goes on from the last good epoch.
        ModuleNotFoundError: lightning or torchmetrics is not installed.
        OSError: ``stem="imagenet"``, and its weights are neither at hand nor to be had.
        ValueError: An unknown budget or stem, or ``out`` holds another study.
    """
    _checks.one_of("budget", budget, tuple(BUDGETS))
    plan, folder = BUDGETS[budget], Path(out)
    check_folder(folder, resume, kind=KIND, finished=CLAIMS, again="--resume", beside="")
    chosen, lines = stem or stem_at_hand(), {}
    with unless_refused(folder):
        JobFolder(folder, {"budget": budget, "stem": chosen}, {}, resume=resume, kind=KIND)
        for run in plan.runs:
            lines[run.name] = _line(run, plan, folder / run.name, chosen, device, progress)
    study = Study(folder, chosen, lines, tuple(claims(plan.runs, lines)))
    write_csv(folder / CLAIMS, Claim, study.claims)
    return study


def _line(run: Run, plan: Budget, folder: Path, stem: Stem, device: str | None, progress: bool) -> NumberLine:
    """The number line of a run; what is done already is read."""
    net = train(
        run.dataset,
        limit=run.limit,
        dimension=run.dimension,
        stem=stem,
        epochs=run.epochs,
        batches=plan.batches,
        pairs=plan.pairs,
        validation=plan.validation,
        seed=run.seed,
        out=folder / "net",
        resume=True,
        device=device,
        precision=plan.precision,
        progress=progress,
    )
    tested, found = folder / "evaluation.npz", folder / "number_line.npz"
    if not tested.is_file():
        evaluate(net, run.dataset, each=plan.each, seed=run.seed, device=device, progress=progress).save(
            tested
        )
    if not found.is_file():
        size = _MIN_CLUSTER_SIZE[run.dataset]
        Evaluation.load(tested).analyze(min_cluster_size=size, seed=run.seed, progress=progress).save(found)
    return NumberLine.load(found)
