import sqlite3
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from diptych.collect import Pictures, Ranking, Store, Study


def test_a_file_is_begun_for_its_owner_alone_and_opened_again(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.sqlite"
    first = Store(path, study)
    first.begin("token", 5.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first.close()
    again = Store(path, study)
    assert again.learner("token") == 0
    assert again.study == study
    assert again.secret == first.secret
    (learner,) = again.learners()
    assert (learner.began, learner.last, learner.answered, learner.steps) == (5.0, None, 0, 6)
    again.close()
    bare = Store(path)
    assert bare.study == study
    bare.close()


def test_neither_tokens_nor_hints_at_them_are_in_the_file(store: Store) -> None:
    store.begin("a-secret-token", 0.0)
    (learner,) = store.learners()
    assert len(learner.name) == 8
    assert learner.name not in "a-secret-token"
    store.close()
    assert b"a-secret-token" not in store.path.read_bytes()


def test_who_begins_twice_is_one_learner(store: Store) -> None:
    for _ in range(3):
        store.begin("one", 0.0)
    store.begin("two", 0.0)
    assert [store.learner(token) for token in ("one", "two", "three")] == [0, 1, None]
    assert [step.trial for step in store.steps(0)] == store.study.kind.plan(0)
    assert [step.trial for step in store.steps(1)] == store.study.kind.plan(1)


def test_an_answer_is_kept_once(store: Store) -> None:
    store.begin("token", 0.0)
    assert store.keep(0, 0, [0, 1, 2], 1.5, 3.0) == [0, 1, 2]
    assert store.keep(0, 0, [2, 1, 0], 9.0, 4.0) == [0, 1, 2]
    step, other = store.steps(0)[:2]
    assert (step.answer, step.seconds, step.seen) == ([0, 1, 2], 1.5, False)
    assert (other.answer, other.seconds, other.seen) == (None, None, False)
    store.see(0, 0)
    assert store.steps(0)[0].seen


def test_the_first_time_that_a_trial_is_shown_counts(store: Store) -> None:
    store.begin("token", 0.0)
    store.show(0, 0, "first", 7.0)
    store.show(0, 0, "second", 8.0)
    assert (store.steps(0)[0].shown, store.steps(0)[0].visit) == (7.0, "first")
    assert store.steps(0)[1].shown is None


def test_an_answer_to_no_step_is_refused_by_the_file_itself(store: Store) -> None:
    store.begin("token", 0.0)
    with pytest.raises(sqlite3.IntegrityError):
        store.keep(0, 6, [0, 1, 2], 1.0, 1.0)
    # The transaction that failed does not stay open.
    assert store.keep(0, 5, [0, 1, 2], 1.0, 1.0) == [0, 1, 2]


def test_threads_and_processes_that_answer_at_once_agree(store: Store, study: Study) -> None:
    store.begin("token", 0.0)
    stores = [store, Store(store.path, study), store]
    kept: list[list[int]] = []
    together = threading.Barrier(6)

    def answer(number: int) -> None:
        together.wait()
        for step in range(6):
            kept.append(stores[number % 3].keep(0, step, [number, step], 1.0, 1.0))

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stores[1].close()
    assert len(kept) == 36
    final = [step.answer for step in store.steps(0)]
    assert all(each == final[each[1]] for each in kept)


def test_learners_that_begin_at_once_get_numbers_of_their_own(store: Store, study: Study) -> None:
    stores = [store, Store(store.path, study)]
    threads = [threading.Thread(target=stores[i % 2].begin, args=(f"token {i}", 0.0)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stores[1].close()
    assert [learner.number for learner in store.learners()] == list(range(8))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train": 5}, "train is 4, not 5"),
        ({"test": 1}, "test is 2, not 1"),
        ({"seed": 0}, "seed is 3, not 0"),
        ({"classes": ("Agara", "Bari", "Dodo")}, "its classes are Agara, Bari, Cooka, not Agara, Bari, Dodo"),
        ({"images": tuple(map(str, range(18)))}, "its images are others, as Agara/agara_0.png, not 0"),
        (
            {"images": tuple(map(str, range(24))), "labels": (0, 1, 2) * 8},
            "it has 18 images, not 24; it has 18 labels, not 24",
        ),
    ],
)
def test_the_answers_of_another_study_are_left_alone(
    store: Store, kind: Ranking, change: dict[str, object], told: str
) -> None:
    other = Study(replace(kind, **change), store.study.fingerprint)
    with pytest.raises(ValueError, match=f"holds the answers of another study: {told}. Give the same"):
        Store(store.path, other)
    assert store.study.differences(store.study) == []


def test_images_of_the_same_names_with_other_content_are_noticed(store: Store, kind: Ranking) -> None:
    with pytest.raises(ValueError, match="same names, but other content"):
        Store(store.path, Study(kind, "0" * 32))


def foreign(path: Path) -> None:
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE study (value)")
    base.commit()
    base.close()


def text(path: Path) -> None:
    path.write_text("learner,step\n")


def newer(path: Path) -> None:
    base = sqlite3.connect(path)
    base.execute(f"PRAGMA application_id = {int.from_bytes(b'dipt')}")
    base.execute("PRAGMA user_version = 2")
    base.commit()
    base.close()


def folder_there(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (foreign, "found the data base of another program"),
        (text, "found a file that is no SQLite data base"),
        (newer, "of version 1, found version 2; another version of diptych wrote it"),
        (folder_there, "expected a file of answers, found a folder"),
    ],
)
def test_files_of_others_are_refused_and_stay_as_they_are(
    study: Study, tmp_path: Path, make: Callable[[Path], None], told: str
) -> None:
    path = tmp_path / "there.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for asked in (study, None):
        with pytest.raises(ValueError, match=told):
            Store(path, asked)
    assert before == (path.read_bytes() if path.is_file() else None)


def test_a_missing_file_is_begun_only_with_a_study(study: Study, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file of answers"):
        Store(tmp_path / "missing.sqlite")
    assert list(tmp_path.iterdir()) == []
    # As a program that stopped before it wrote leaves it.
    (tmp_path / "empty.sqlite").touch()
    Store(tmp_path / "empty.sqlite", study).close()


def test_a_damaged_file_is_an_error_in_words(store: Store) -> None:
    store.close()
    content = bytearray(store.path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    store.path.write_bytes(content)
    with pytest.raises(OSError, match="cannot be used as a file of answers"):
        Store(store.path)


def test_a_study_of_an_unknown_kind_is_refused(store: Store) -> None:
    base = sqlite3.connect(store.path)
    base.execute("UPDATE study SET value = replace(value, 'ranking', 'dreaming')")
    base.commit()
    base.close()
    with pytest.raises(ValueError, match="not a study that this version can read: 'dreaming'"):
        Store(store.path)


def test_a_study_is_the_same_after_a_trip_through_json(study: Study, pictures: Pictures) -> None:
    assert Study.from_json(study.to_json()) == study
    assert study.kind.images == pictures.names
