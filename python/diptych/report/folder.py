"""A folder that appears under its name only when everything in it has been written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diptych._files import umask
from diptych.numerosity.tables import TABLES
from diptych.plots import NUMEROSITY_FIGURES, TRACING_FIGURES
from diptych.tracing.variants import TABLES as TRACING_TABLES

PAGE = "index.html"
RESULT = "result.npz"
EVALUATION = "evaluation.npz"
EXPLANATIONS = {"a": "explanations_a.png", "b": "explanations_b.png"}
MAPS = "pca.png"
CONCEPTS = "concepts.csv"
IMPORTANCE = "similarity_importance.png"
MCS = "mcs_vs_lasso.png"
DESCRIPTIONS = "descriptions.csv"
CLAIMS = "claims.csv"
RUNS = "runs.csv"
RUN_PAGES = "runs"
MODELS = "models.csv"
LESSONS = "lessons.npz"
SUMMARY = "summary.csv"
CLASSES = "classes.csv"
OURS = frozenset(
    {PAGE, RESULT, EVALUATION, MAPS, *EXPLANATIONS.values(), CONCEPTS, IMPORTANCE, MCS, DESCRIPTIONS}
    | {CLAIMS, RUNS, MODELS, LESSONS, SUMMARY, CLASSES}
    | {f"{name}.csv" for name in TABLES}
    | {f"{name}.png" for name in (*NUMEROSITY_FIGURES, *TRACING_FIGURES)}
    | {f"study_{name}.png" for name in TRACING_TABLES}
)


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse a target that must not be written.

    Only a folder that holds nothing but an earlier report may be replaced, so that a mistyped path
    costs nobody their files; hidden files, such as those of file managers, do not count.

    Raises:
        FileExistsError: The path exists and ``overwrite`` is not set, or it is not a report.
    """
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileExistsError(f"path: {path} exists; choose another, or overwrite it")
    if path.is_symlink() or not path.is_dir():
        raise FileExistsError(f"path: {path} is not a folder, and is not overwritten")
    others = sorted(_others(path))
    if others:
        raise FileExistsError(
            f"path: {path} holds files that are not of a report ({', '.join(others[:3])}), "
            "and is not overwritten"
        )


def _others(path: Path) -> Iterator[str]:
    """Names of what is not of a report; reports of runs may lie in a folder of their own."""
    for entry in path.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.name == RUN_PAGES and entry.is_dir() and not entry.is_symlink():
            yield from (f"{RUN_PAGES}/{run.name}" for run in entry.iterdir() if not _is_report(run))
        elif entry.name not in OURS:
            yield entry.name


def _is_report(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and (path / PAGE).is_file() and not any(_others(path))


@contextmanager
def whole_folder(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; give it that name when the block ends well.

    When the block raises (a full disk, Ctrl-C) the temporary folder is removed and ``path`` is as
    before. An earlier report is moved aside for the renaming and deleted after it.

    Raises:
        FileExistsError: As in :func:`check_target`, also where the path came to be meanwhile.
    """
    check_target(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o777 & ~umask())
        check_target(path, overwrite)
        _replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _replace(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
        return
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    old = aside / path.name
    path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        old.rename(path)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)
