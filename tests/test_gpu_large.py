"""Arrays of more than 2^31 entries on a GPU: places inside them need 64 bits."""

import pytest
import torch

from diptych import ops

N = 46_343  # n² is just above 2^31


def enough_memory() -> bool:
    return torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 60 * 2**30


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not enough_memory(), reason="no NVIDIA GPU with 60 GiB free"),
]


@pytest.fixture(scope="module")
def whole() -> torch.Tensor:
    generator = torch.Generator("cuda").manual_seed(0)
    return torch.randint(0, 50, (N, 8), generator=generator, device="cuda").float()


def test_distances_and_what_is_made_of_them(whole: torch.Tensor) -> None:
    distances = ops.pairwise_distances(whole, metric="sqeuclidean")
    last = slice(N - 50, N)
    expected = torch.cdist(whole[last].double(), whole.double()).square().round()
    assert torch.equal(distances[last].double(), expected)

    ranks = ops.neighbor_ranks(distances=distances)
    order = expected.clone()
    rows = torch.arange(50, device="cuda")
    order[rows, rows + N - 50] = -1
    sorted_items = order.argsort(dim=1, stable=True)
    places = torch.arange(N, device="cuda").expand(50, N)
    assert torch.equal(torch.empty_like(sorted_items).scatter_(1, sorted_items, places), ranks[last].long())

    labels = torch.arange(N, device="cuda") % 2
    near = ops.knn_affinity(distances, labels, 4)
    masked = expected.masked_fill(labels[last, None] != labels, -1)
    masked[rows, rows + N - 50] = -1
    assert torch.equal(near.scores[last].double(), masked.topk(4, dim=1).values.sum(1))


@pytest.mark.parametrize("backend", ["cuda", "triton"])
def test_differences(whole: torch.Tensor, backend: str) -> None:
    ranks = ops.neighbor_ranks(whole)
    other = ops.neighbor_ranks(whole.flip(0))
    biased = ops.locally_biased_difference(ranks, other, backend=backend)
    few = slice(N - 50, N)
    expected = ops.locally_biased_difference(ranks[few].cpu(), other[few].cpu())
    torch.testing.assert_close(biased[few].cpu(), expected, rtol=2e-6, atol=0)
    del biased
    corner = ops.difference_affinity(ranks[few, few].cpu(), other[few, few].cpu())
    found = ops.difference_affinity(ranks, other, overwrite=True, backend=backend)
    for got, want in zip(found, corner, strict=True):
        torch.testing.assert_close(got[few, few].cpu(), want, rtol=1e-5, atol=0)
        assert torch.equal(got[:50, few], got[few, :50].T)
