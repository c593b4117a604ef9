"""A small folder of images, and a study over it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collect_images import write_images

from diptych.collect import Pictures, Ranking, Store, Study
from diptych.collect.session import Sessions


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("collect") / "greebles")


@pytest.fixture(scope="session")
def pictures(folder: Path) -> Pictures:
    return Pictures(folder)


@pytest.fixture(scope="session")
def kind(pictures: Pictures) -> Ranking:
    return Ranking(pictures.names, pictures.classes, pictures.labels, train=4, test=2, seed=3)


@pytest.fixture(scope="session")
def study(kind: Ranking, pictures: Pictures) -> Study:
    return Study(kind, pictures.fingerprint)


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(study: Study, tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "answers.sqlite", study)
    yield store
    store.close()


@pytest.fixture
def sessions(store: Store, clock: Clock) -> Sessions:
    return Sessions(store, clock)


@pytest.fixture
def token(sessions: Sessions) -> str:
    """Of a learner who has begun."""
    return sessions.begin(sessions.ticket())


@pytest.fixture
def answer_all(sessions: Sessions, clock: Clock) -> Callable[..., None]:
    """Lets a learner answer the next steps with one ranking, two seconds each."""

    def answer_all(token: str, steps: int, ranking: tuple[int, ...] = (0, 1, 2)) -> None:
        for _ in range(steps):
            told = sessions.go(token, "visit")
            clock.now += 2
            sessions.answer(token, "visit", told["step"], list(ranking), 1.5)
            sessions.go(token, "visit", told["step"])

    return answer_all
