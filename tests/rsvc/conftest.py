"""Fixtures shared by the tests of diptych.rsvc."""

from pathlib import Path

import pytest
import torch
from made_images import save_checkpoints


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images in four classes, and a checkpoint of each of two models; not to be written to."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("files")
    save_checkpoints(root, per_class=8)
    torch.set_num_threads(threads)
    return root
