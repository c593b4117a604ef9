"""Fixtures shared by the tests of diptych.rsvc."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from made_images import folder_of_images, save_checkpoints, two_models

from diptych.embed import ImageModel


@contextmanager
def one_thread_here() -> Iterator[None]:
    """For what is made once for many tests, where fixtures of a test's own come too late."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images in four classes, and a checkpoint of each of two models; not to be written to."""
    root = tmp_path_factory.mktemp("files")
    with one_thread_here():
        save_checkpoints(root, per_class=8)
    return root


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 14 images in each of four classes; not to be written to."""
    return folder_of_images(tmp_path_factory.mktemp("images") / "folder", 14)


@pytest.fixture(scope="session")
def models(images: Path) -> tuple[ImageModel, ImageModel]:
    """Two small networks that tell the classes apart; not to be trained."""
    with one_thread_here():
        return two_models(images)
