"""The file of answers: one SQLite data base with the study, its learners, their trials and answers."""

import hashlib
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych.collect.study import Study
from diptych.collect.trials import Trial

# "dipt": by this SQLite's own header tells our files from those of other programs.
_APPLICATION = int.from_bytes(b"dipt")
_VERSION = 1
_MAGIC = b"SQLite format 3\0"
_TABLES = """
CREATE TABLE study (only INTEGER PRIMARY KEY CHECK (only = 0), value TEXT NOT NULL, secret BLOB NOT NULL);
CREATE TABLE learners (
    number INTEGER PRIMARY KEY, token_hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
    began REAL NOT NULL
);
CREATE TABLE trials (
    learner INTEGER NOT NULL REFERENCES learners, step INTEGER NOT NULL, phase TEXT NOT NULL,
    images TEXT NOT NULL, shown REAL, visit TEXT,
    PRIMARY KEY (learner, step)
);
CREATE TABLE answers (
    learner INTEGER NOT NULL, step INTEGER NOT NULL, answer TEXT NOT NULL, seconds REAL,
    received REAL NOT NULL, seen INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (learner, step), FOREIGN KEY (learner, step) REFERENCES trials
);
"""


@dataclass(frozen=True)
class Step:
    """A trial of a learner, and what came of it so far.

    Attributes:
        trial: What is shown.
        shown: When it was first shown, in seconds since 1970; None before.
        visit: The opened page that it was first shown on.
        answer: What was answered; None before.
        seconds: The response time, None where it is not known.
        seen: Whether the learner went on from the feedback.
    """

    trial: Trial
    shown: float | None = None
    visit: str | None = None
    answer: Any = None
    seconds: float | None = None
    seen: bool = False


@dataclass(frozen=True)
class Learner:
    """A learner by the random name that exported tables have, and how far they are.

    Attributes:
        number: In the order in which they began, from 0.
        name: Random, and unrelated to the secret token of their page.
        began: When, in seconds since 1970.
        last: When the last answer came, None before the first.
        answered: How many steps have an answer.
        steps: How many there are.
    """

    number: int
    name: str
    began: float
    last: float | None
    answered: int
    steps: int


class Store:
    """The answers to a study; whatever a method wrote is on the disk when it returns.

    Several threads may use one store, and several processes one file: each write is one transaction.
    """

    def __init__(self, path: Path, study: Study | None = None) -> None:
        """Open a file of answers, or begin one.

        Args:
            path: The file.
            study: What is asked; None to read the answers of whatever study there is.

        Raises:
            FileNotFoundError: There is no such file, and no study to begin one with.
            ValueError: The file is not ours, of a version that is not known, or of another study.
            OSError: It cannot be written.
        """
        self.path = path
        self._lock = threading.RLock()
        begins = _checked(path, study is not None)
        try:
            if begins:
                path.parent.mkdir(parents=True, exist_ok=True)
                # The answers of people are for nobody else on this machine.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._base = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            try:
                self.study, self.secret = self._opened(study)
            except BaseException:
                self._base.close()
                raise
        except sqlite3.Error as error:
            raise OSError(f"{path}: cannot be used as a file of answers: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def begin(self, token: str, now: float) -> None:
        """Let a learner begin; nothing happens where one with this token has begun already."""
        with self._transaction() as base:
            if self._number(token) is not None:
                return
            (number,) = base.execute("SELECT count(*) FROM learners").fetchone()
            name = secrets.token_hex(4)
            base.execute("INSERT INTO learners VALUES (?, ?, ?, ?)", (number, _hash(token), name, now))
            base.executemany(
                "INSERT INTO trials (learner, step, phase, images) VALUES (?, ?, ?, ?)",
                [
                    (number, step, trial.phase, json.dumps(trial.images))
                    for step, trial in enumerate(self.study.kind.plan(number))
                ],
            )

    def learner(self, token: str) -> int | None:
        """Number of the learner with a token, None if there is none."""
        with self._lock:
            return self._number(token)

    def learners(self) -> list[Learner]:
        """All learners, in the order in which they began."""
        query = """SELECT number, name, began, max(received), count(received), count(*)
            FROM learners JOIN trials ON learner = number LEFT JOIN answers USING (learner, step)
            GROUP BY number ORDER BY number"""
        with self._lock:
            return [Learner(*row) for row in self._base.execute(query)]

    def steps(self, learner: int) -> list[Step]:
        """The steps of a learner, in their order."""
        query = """SELECT phase, images, shown, visit, answer, seconds, seen
            FROM trials LEFT JOIN answers USING (learner, step) WHERE learner = ? ORDER BY step"""
        with self._lock:
            return [_step(*row) for row in self._base.execute(query, (learner,))]

    def show(self, learner: int, step: int, visit: str, now: float) -> None:
        """Note that a trial is shown on an opened page, if it is for the first time."""
        with self._transaction() as base:
            base.execute(
                "UPDATE trials SET shown = ?, visit = ? WHERE learner = ? AND step = ? AND shown IS NULL",
                (now, visit, learner, step),
            )

    def keep(self, learner: int, step: int, answer: Any, seconds: float | None, now: float) -> Any:
        """Keep an answer unless the step has one; return that which is kept."""
        with self._transaction() as base:
            base.execute(
                """INSERT OR IGNORE INTO answers (learner, step, answer, seconds, received)
                VALUES (?, ?, ?, ?, ?)""",
                (learner, step, json.dumps(answer), seconds, now),
            )
            query = "SELECT answer FROM answers WHERE learner = ? AND step = ?"
            (kept,) = base.execute(query, (learner, step)).fetchone()
            return json.loads(kept)

    def see(self, learner: int, step: int) -> None:
        """Note that a learner went on from the feedback of a step."""
        with self._transaction() as base:
            base.execute("UPDATE answers SET seen = 1 WHERE learner = ? AND step = ?", (learner, step))

    def _number(self, token: str) -> int | None:
        query = "SELECT number FROM learners WHERE token_hash = ?"
        found = self._base.execute(query, (_hash(token),)).fetchone()
        return None if found is None else found[0]

    def _opened(self, study: Study | None) -> tuple[Study, bytes]:
        self._base.execute("PRAGMA foreign_keys = ON")
        if study is not None:
            self._begin_study(study)
        # Only now: the header of a file that begins in WAL mode is written late, and tells whose file it is.
        self._base.execute("PRAGMA journal_mode = WAL")
        # In WAL mode the default may lose what was written last when the power fails.
        self._base.execute("PRAGMA synchronous = FULL")
        value, secret = self._base.execute("SELECT value, secret FROM study").fetchone()
        try:
            found = Study.from_json(value)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        if study is not None and (told := found.differences(study)):
            raise ValueError(
                f"{self.path}: holds the answers of another study: {'; '.join(told)}. Give the same folder "
                "and options again, or another file"
            )
        return found, secret

    def _begin_study(self, study: Study) -> None:
        with self._transaction() as base:
            if base.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                # Not executescript, which would end the transaction.
                for statement in filter(str.strip, _TABLES.split(";")):
                    base.execute(statement)
                values = study.to_json(), secrets.token_bytes(32)
                base.execute("INSERT INTO study VALUES (0, ?, ?)", values)
                base.execute(f"PRAGMA application_id = {_APPLICATION}")
                base.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            # At once, not when it first writes: what it reads before must still hold then.
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")


def _checked(path: Path, may_begin: bool) -> bool:
    """Whether a file of answers is to be begun; an existing file must be one of ours."""
    if path.is_dir():
        raise ValueError(f"{path}: expected a file of answers, found a folder")
    if not path.exists():
        if may_begin:
            return True
        raise FileNotFoundError(f"{path}: no such file of answers")
    with open(path, "rb") as file:
        header = file.read(100)
    if not header and may_begin:
        return True
    if not header.startswith(_MAGIC) or len(header) < 100:
        raise ValueError(f"{path}: expected a file of answers, found a file that is no SQLite data base")
    # https://www.sqlite.org/fileformat2.html: user version at byte 60, application id at byte 68.
    version, application = (int.from_bytes(header[at : at + 4]) for at in (60, 68))
    if application != _APPLICATION:
        raise ValueError(f"{path}: expected a file of answers, found the data base of another program")
    if version != _VERSION:
        raise ValueError(
            f"{path}: expected a file of answers of version {_VERSION}, found version {version}; another "
            "version of diptych wrote it"
        )
    return False


def _hash(token: str) -> bytes:
    """What is kept of a token: with it a copy of the file does not open the learners' pages."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _step(
    phase: Any, images: str, shown: Any, visit: Any, answer: str | None, seconds: Any, seen: int | None
) -> Step:
    kept = None if answer is None else json.loads(answer)
    return Step(Trial(phase, tuple(json.loads(images))), shown, visit, kept, seconds, bool(seen))
