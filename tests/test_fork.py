"""Forked children, as DataLoader's workers are, after the parent has used its threads."""

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers import gaussian, rank_matrix

from diptych import _cpu, ops

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def exit_status_of_child(work: Callable[[], None]) -> int | None:
    """Run ``work`` in a forked child; None if it has not ended after 30 s."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python's, of forking with threads: the point here
        child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.fixture
def busy_parent() -> torch.Tensor:
    """Distances, after parallel regions of both torch and diptych in this process."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    x = gaussian(600, 32)
    distances = ops.pairwise_distances(x)
    ops.neighbor_ranks(x)
    torch.set_num_threads(before)
    return distances


def test_a_kernel_runs_alone_in_a_forked_child(busy_parent: torch.Tensor) -> None:
    expected = ops.neighbor_ranks(distances=busy_parent).numpy()

    def work() -> None:
        # Straight to the C++: torch's own parallel loops hang in such a child unless it sets one thread.
        ranks = np.full((600, 600), -1, np.int32)
        _cpu.ranks(busy_parent.numpy(), None, ranks, 2)
        np.testing.assert_array_equal(ranks, expected)

    assert exit_status_of_child(work) == 0


def test_ops_run_in_a_child_of_one_thread(busy_parent: torch.Tensor) -> None:
    a, b = rank_matrix(300, 1), rank_matrix(300, 2)
    expected = ops.difference_affinity(a, b)

    def work() -> None:
        torch.set_num_threads(1)  # as DataLoader's workers do
        found = ops.difference_affinity(a, b)
        assert torch.equal(found[0], expected[0])
        labels = ops.spectral_clusters(found[0], 3)
        ops.knn_affinity(found[0], labels, 5)
        assert ops.neighbor_ranks(gaussian(600, 8)).shape == (600, 600)

    assert exit_status_of_child(work) == 0


class RanksOfABatch(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return ops.neighbor_ranks(gaussian(200, 5, index))


@pytest.mark.usefixtures("busy_parent")
def test_ops_run_in_dataloader_workers() -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system cannot fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = torch.utils.data.DataLoader(
            RanksOfABatch(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60
        )
        found = list(loader)
    for index, ranks in enumerate(found):
        assert torch.equal(ranks, ops.neighbor_ranks(gaussian(200, 5, index)))


def test_the_parent_keeps_its_threads(busy_parent: torch.Tensor) -> None:
    expected = ops.neighbor_ranks(distances=busy_parent)
    assert exit_status_of_child(lambda: None) == 0
    assert torch.equal(ops.neighbor_ranks(distances=busy_parent), expected)
