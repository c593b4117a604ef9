"""Answers kept on disk, so that nothing is asked twice."""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from diptych._files import atomic_path
from diptych.language.chat import ChatModel, question

_VERSION = 1


class Identified(ChatModel, Protocol):
    """A chat model that tells what its answers depend on."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Model, URL without credentials, sampling options: what JSON holds, and nothing secret."""


class Cached:
    """A chat model whose answers are kept in a folder, one JSON file each.

    The file's name is a hash of the model's ``identity``, the prompt and the images' pixels. Files are
    written whole; one that is damaged is named in a warning and its question asked again. Errors are not
    kept. To have a question asked again, remove its file.
    """

    def __init__(self, model: Identified, folder: str | os.PathLike[str]) -> None:
        self.model, self.folder = model, Path(folder)
        self.concurrency: int = getattr(model, "concurrency", 1)
        self._guard = Lock()
        self._locks: dict[Path, Lock] = {}

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the answers depend on: the model's own."""
        return self.model.identity

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        """Answer from the folder, or ask the model and keep what it says.

        Raises:
            ChatError: There is no answer.
        """
        message = question(prompt, images)
        asked = {
            "model": dict(self.model.identity),
            "prompt": message.text,
            "images": [image.digest for image in message.images],
        }
        canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        path = self.folder / f"{hashlib.sha256(canonical.encode()).hexdigest()}.json"
        with self._guard:
            lock = self._locks.setdefault(path, Lock())
        # Two threads with one question: the second waits for the first one's answer.
        with lock:
            kept = _read(path, asked)
            if kept is not None:
                return kept
            answer = self.model.ask(message.text, message.images)
            whole = {"version": _VERSION, "question": asked, "answer": answer}
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(whole, indent=1, sort_keys=True), encoding="utf-8")
            return answer


def _read(path: Path, asked: dict[str, Any]) -> str | None:
    """The answer kept in a file; None where there is none, or none to be trusted."""
    try:
        return _checked(json.loads(path.read_bytes()), asked)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        warnings.warn(
            f"{path}: not a kept answer ({error}); its question is asked again", RuntimeWarning, stacklevel=3
        )
        return None


def _checked(kept: Any, asked: dict[str, Any]) -> str:
    if not isinstance(kept, dict) or kept.get("version") != _VERSION:
        raise ValueError(f"expected an answer of version {_VERSION}")
    if kept.get("question") != json.loads(json.dumps(asked)):
        raise ValueError("it belongs to another question")
    answer = kept.get("answer")
    if not isinstance(answer, str):
        raise ValueError("expected an answer in text")
    return answer
