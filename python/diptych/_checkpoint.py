"""What a long job has finished, on disk, so that a killed job's successor goes on where it stopped."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from diptych._files import atomic_path

#: The file that says what a folder's job is.
JOB = "job.json"
# Of which a part of a job is made that need not be made again.
_FINISHED = ("*.safetensors", "*.ckpt", f"*/**/{JOB}")


class JobFolder:
    """A folder that belongs to one job, which ``job.json`` describes.

    Args:
        folder: Where the job keeps what it has finished; made if need be.
        job: What the job is: inputs, parameters, block sizes, as JSON can hold them.
        settings: How the job is done where that depends on the machine's state; the folder's are kept.
        resume: Take up what the folder holds. Without it a folder that holds a job is refused.
        kind: What errors call the job.

    Attributes:
        settings: Those of the job when it began.

    Raises:
        FileExistsError: The folder holds a job and ``resume`` was not asked for.
        ValueError: The folder holds another job (the message tells what differs), or an unreadable one.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        job: Mapping[str, Any],
        settings: Mapping[str, Any],
        *,
        resume: bool,
        kind: str = "comparison",
    ) -> None:
        self._kind = kind
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Through JSON, so that what is read back compares equal.
        self._job = json.loads(json.dumps(dict(job)))
        self._digest = digest(self._job)
        path = self.folder / JOB
        if path.exists():
            if not resume:
                raise FileExistsError(
                    f"{self.folder}: holds an unfinished {kind}; "
                    "resume it (--resume), or choose another folder"
                )
            self.settings = self._read_job(path)
        else:
            self.settings = dict(settings)
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps({"job": self._job, "settings": self.settings}, indent=1))

    def _read_job(self, path: Path) -> dict[str, Any]:
        """Compare the folder's job with this one; return its settings."""
        try:
            content = json.loads(path.read_text())
            found, settings = dict(content["job"]), dict(content["settings"])
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ValueError(f"{path}: not a readable description of a job: {error}") from error
        for key in {**self._job, **found}:
            if self._job.get(key) != found.get(key):
                raise ValueError(
                    f"{self.folder}: holds another {self._kind}, {key} is {found.get(key)!r} there and "
                    f"{self._job.get(key)!r} here"
                )
        return settings


class Checkpoint(JobFolder):
    """A folder of finished parts, each one file that is whole or not there.

    A part is a .safetensors file: written under a temporary name, then renamed, with a checksum of its
    content and the digest of its job. Nothing is unpickled. Arguments are those of :class:`JobFolder`.
    """

    def load(self, part: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of a finished part, None if it is not there.

        Raises:
            ValueError: The file is damaged or belongs to another job.
        """
        path = self._path(part)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"{path}: a damaged checkpoint, remove it to have it made again: {error}"
            ) from error
        if metadata.get("job") != self._digest:
            raise ValueError(f"{path}: a part of another job than {self.folder / JOB}")
        if metadata.get("checksum") != _checksum(arrays):
            raise ValueError(
                f"{path}: a damaged checkpoint, remove it to have it made again: its checksum differs"
            )
        return arrays

    def save(self, part: str, **arrays: NDArray[Any]) -> None:
        """Write a finished part, whole or not at all."""
        metadata = {"job": self._digest, "checksum": _checksum(arrays)}
        with atomic_path(self._path(part)) as temporary:
            save_file(arrays, temporary, metadata)

    def remove(self, prefix: str) -> None:
        """Remove the parts whose names begin with ``prefix``: they are not needed any more."""
        for path in self.folder.glob(f"{prefix}*.safetensors"):
            path.unlink()

    def _path(self, part: str) -> Path:
        return self.folder / f"{part}.safetensors"


def check_folder(folder: Path, resume: bool, *, kind: str, finished: str, again: str, beside: str) -> None:
    """Refuse the folder of something else before any work.

    Args:
        folder: Where a job is to be done.
        resume: Whether it may hold that job.
        kind: What errors call the job.
        finished: The file that is there when the job is.
        again: How a finished one is read.
        beside: What may lie there before a job begins.

    Raises:
        FileExistsError: It is a file, or holds something else, or a job that is not to be resumed.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: expected a folder, found a file")
    if not (folder / JOB).is_file():
        if folder.exists() and any(path.name != beside for path in folder.iterdir()):
            raise FileExistsError(f"{folder}: holds something else than a {kind}; choose another folder")
    elif not resume and (folder / finished).is_file():
        raise FileExistsError(
            f"{folder}: holds a finished {kind}; read it again ({again}), or choose another folder"
        )
    elif not resume:
        raise FileExistsError(
            f"{folder}: holds an unfinished {kind}; go on with it (--resume), or choose another folder"
        )


@contextmanager
def unless_refused(folder: Path) -> Iterator[None]:
    """Take the description of a job that begins here away again when what it asks for cannot be.

    So the folder is left to another try, unless a part is finished there, which is not thrown away: an
    array file, the state of a training, or a job in a folder below.
    """
    began = (folder / JOB).is_file()
    try:
        yield
    except (TypeError, ValueError):
        if not began and not any(any(folder.glob(each)) for each in _FINISHED):
            (folder / JOB).unlink(missing_ok=True)
        raise


def digest(job: Mapping[str, Any]) -> str:
    """A digest of what JSON can hold."""
    return hashlib.blake2b(json.dumps(dict(job), sort_keys=True).encode()).hexdigest()


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    checksum = hashlib.blake2b()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        checksum.update(f"{name} {array.dtype.str} {array.shape}".encode())
        checksum.update(array.reshape(-1).view(np.uint8).data)
    return checksum.hexdigest()
