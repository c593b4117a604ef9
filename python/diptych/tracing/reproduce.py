"""The chapter's tables again: models trained over several seeds and compared on learners they never saw."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych._checkpoint import JobFolder, check_folder, unless_refused
from diptych._progress import Stages
from diptych._tables import write_csv
from diptych.embed._extras import require
from diptych.ops import _checks
from diptych.tracing.claims import Claim, claims
from diptych.tracing.fingerprint import fingerprint
from diptych.tracing.learners import KINDS
from diptych.tracing.models import MODELS
from diptych.tracing.results import ORACLE
from diptych.tracing.scores import score
from diptych.tracing.sequences import Sequences
from diptych.tracing.simulate import simulate
from diptych.tracing.splits import SPLITS, Split, split
from diptych.tracing.study import ClassRow, Row, TracingStudy
from diptych.tracing.train import fit
from diptych.tracing.variants import TABLES, Variant, variants

#: What is claimed of a study's rows; it is there when the study is done.
CLAIMS = "claims.csv"

KIND = "study of tracing"

# Whose models' inputs and features are varied: the kind that the models are made for.
_VARIED = "gradient"
# Sets of learners whose names are fit for a folder.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class _Run:
    """One training, and the test of it."""

    learners: str
    seed: int
    variant: Variant
    simulated: Mapping[str, Any] | None
    epochs: int
    folder: Path
    device: str | None

    def sequences(self, given: Mapping[str, Sequences]) -> Sequences:
        if self.simulated is None:
            return given[self.learners]
        return simulate(self.learners, seed=self.seed, **self.simulated)


def reproduce(
    out: str | os.PathLike[str],
    answers: Mapping[str, Sequences] | None = None,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    models: Sequence[str] = tuple(MODELS),
    tables: Sequence[str] = tuple(TABLES),
    seeds: int = SPLITS,
    n_learners: int = 150,
    epochs: int = 400,
    workers: int = 1,
    resume: bool = False,
    device: str | None = None,
    progress: bool = True,
) -> TracingStudy:
    """Train models of learners over several seeds, and see how well they foretell learners they never saw.

    For each seed learners are simulated and split anew; given ones are split anew. Each model is trained on
    the same split, and so compared in pairs. What the printed tables 2.1 to 2.7 are made of is there for
    every set of learners: micro and macro average precision in training and test, of each class, with other
    inputs, and with features of other widths; the latter two, of simulated learners, for gradient ones alone.

    Args:
        out: Folder for everything; made if need be. Each training has a folder of its own in it.
        answers: Sets of learners by name. By default simulated ones of the ``kinds``, whose true
            probabilities are known.
        kinds: Of simulated learners.
        models: Names in ``MODELS``, for the table of them.
        tables: Some of ``TABLES``.
        seeds: How many.
        n_learners: Of each kind and seed.
        epochs: Of a training, at most.
        workers: Processes, each with a share of the trainings, and of one thread where there are several.
        resume: Go on with what ``out`` holds of this very study.
        device: As :func:`diptych.tracing.fit` takes it.
        progress: Show a bar on stderr.

    Returns:
        The study. Numbers are the same to the bit for a number of threads, however often it was resumed.

    Complexity:
        Trainings: seeds times sets times models, and on top of it the variations. Of the defaults, 20 folds
        of 16 models and 12 variations, the fast-weight tracer's take half the time.

    Raises:
        FileExistsError: ``out`` holds something and ``resume`` was not asked for.
        FloatingPointError: A training whose loss is not finite.
        ModuleNotFoundError: lightning is not installed.
        TypeError: No whole number where one is wanted.
        ValueError: An unknown kind, model or table, none of them, a number out of range, sets whose names are
            no plain file names, or ``out`` holds another study.
    """
    require("lightning", "tracing")
    _check(kinds, models, tables, answers)
    sizes = {"seeds": seeds, "n_learners": n_learners, "epochs": epochs, "workers": workers}
    for name, number in sizes.items():
        _checks.integer(name, number, 1)
    _checks.one_of("device", device, (None, "cpu", "cuda"))
    folder, given = Path(out), dict(answers or {})
    # Nothing is trained twice.
    kinds = tuple(dict.fromkeys(kinds))
    check_folder(folder, resume, kind=KIND, finished=CLAIMS, again="--resume", beside="")
    job = {
        "learners": {name: fingerprint(each) for name, each in given.items()} or list(kinds),
        "models": list(models),
        "tables": list(tables),
        "seeds": seeds,
        "n_learners": None if given else n_learners,
        "epochs": epochs,
    }
    with unless_refused(folder):
        JobFolder(folder, job, {}, resume=resume, kind=KIND)
        runs = []
        for seed in range(seeds):
            for learners in given or kinds:
                simulated = None if given else {"n_learners": n_learners}
                timed = bool(given) and given[learners].seconds is not None
                varied = bool(given) or learners == _VARIED
                for variant in _compared(models, tables, timed, varied):
                    there = folder / f"{learners}-{seed}" / variant.folder
                    runs.append(_Run(learners, seed, variant, simulated, epochs, there, device))
        found = [*_oracles(runs, given), *_done(runs, given, workers, progress)]
    rows, classes = zip(*found, strict=True) if found else ((), ())
    study = TracingStudy(folder, sum(rows, ()), sum(classes, ()))
    study.save()
    write_csv(folder / CLAIMS, Claim, claims(study))
    return study


def _check(
    kinds: Sequence[str],
    models: Sequence[str],
    tables: Sequence[str],
    answers: Mapping[str, Sequences] | None,
) -> None:
    for name, chosen, known in (
        ("kinds", kinds, KINDS),
        ("models", models, MODELS),
        ("tables", tables, TABLES),
    ):
        if isinstance(chosen, str) or not chosen:
            raise ValueError(f"{name}: expected some of {', '.join(known)}, found {chosen!r}")
        for each in chosen:
            _checks.one_of(name, each, tuple(known))
    if not answers and "models" not in tables and _VARIED not in kinds:
        raise ValueError(
            f"tables: expected 'models' for {', '.join(kinds)} learners, whose models are not varied, "
            f"found {', '.join(tables)}"
        )
    if answers is not None and not answers:
        raise ValueError("answers: expected sets of learners by name, found none")
    for name, people in (answers or {}).items():
        if not _PLAIN.fullmatch(name):
            raise ValueError(f"answers: expected names of letters, digits, '.', '_' and '-', found {name!r}")
        # Before hours of training on other sets.
        if len(people) < len(Split._fields):
            raise ValueError(f"answers: expected a learner for each part of a split, {name}: {len(people)}")
        if people.features is None and people.images is None and people.folder is None:
            raise ValueError(f"answers: expected images or known features of them, {name} has neither")


def _compared(models: Sequence[str], tables: Sequence[str], timed: bool, varied: bool) -> tuple[Variant, ...]:
    """The variants that are trained, each once."""
    wanted: dict[Variant, None] = {}
    for table in tables:
        if table == "models":
            wanted |= dict.fromkeys(map(Variant, models))
        elif varied:
            wanted |= dict.fromkeys(variants(table, timed))
    return tuple(wanted)


Found = tuple[tuple[Row, ...], tuple[ClassRow, ...]]


def _done(
    runs: Sequence[_Run], given: Mapping[str, Sequences], workers: int, progress: bool
) -> Iterator[Found]:
    """Train and test, in several processes if wanted; what was done before is read."""
    from joblib import Parallel, delayed, parallel_config

    with (
        parallel_config("loky", inner_max_num_threads=1 if workers > 1 else None),
        Stages({"training models": 1.0}, enabled=progress) as stages,
    ):
        stages.enter("training models")
        for found in Parallel(workers, return_as="generator")(delayed(_trained)(run, given) for run in runs):
            yield found
            stages.advance(1 / len(runs))


def _trained(run: _Run, given: Mapping[str, Sequences]) -> Found:
    sequences = run.sequences(given)
    tracer = fit(
        sequences,
        run.variant.model,
        run.seed,
        epochs=run.epochs,
        seed=run.seed,
        out=run.folder,
        resume=True,
        device=run.device,
        progress=False,
        **run.variant.options(sequences.features is not None),
    )
    shown = sequences.of(split(sequences, run.seed).test)
    return _scored(run, run.variant.name, shown, tracer.probabilities(shown), len(tracer.history))


def _oracles(runs: Sequence[_Run], given: Mapping[str, Sequences]) -> Iterator[Found]:
    """The true probabilities' rows, once for each set of learners and seed."""
    for run in {(run.learners, run.seed): run for run in runs}.values():
        sequences = run.sequences(given)
        if sequences.truth is not None:
            shown = sequences.of(split(sequences, run.seed).test)
            yield _scored(run, ORACLE, shown, shown.truth, 0)


def _scored(run: _Run, name: str, shown: Sequences, probabilities: Any, epochs: int) -> Found:
    rows, classes = [], []
    for phase, asked in shown.phases():
        found = score(probabilities[asked], shown.response[asked])._asdict()
        of_each = found.pop("class_ap")
        which = run.learners, run.seed, name, phase
        rows.append(Row(*which, int(asked.sum()), **found, epochs=epochs))
        classes += [
            ClassRow(*which, each, float(ap)) for each, ap in zip(shown.classes, of_each, strict=True)
        ]
    return tuple(rows), tuple(classes)
