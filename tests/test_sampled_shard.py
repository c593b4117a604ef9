"""Rows of sampled affinities apart from the others: the same, to the last bit, as those of the whole."""

import pytest
import torch
from helpers import gaussian, rank_matrix

from diptych import ops
from diptych.ops._sampled_direction import Pairs
from diptych.ops.sampled_shard import pairs_with

N, K, S = 130, 6, 30


def whole_and_part(
    first: int, stop: int, n: int = N, neighbors: int = K, samples: int = S
) -> tuple[ops.SampledAffinity, ops.SampledAffinity]:
    ranks = rank_matrix(n, 0), rank_matrix(n, 1)
    whole = ops.SampledAffinity(n, neighbors, samples, seed=4)
    part = ops.SampledAffinity(n, neighbors, samples, seed=4, rows=(first, stop))
    whole.write(0, *ranks)
    if stop > first:
        part.write(first, *(rank[first:stop] for rank in ranks))
    return whole, part


@pytest.mark.parametrize(("first", "stop"), [(0, N), (0, 64), (64, N), (7, 8), (70, 70), (N, N)])
def test_a_shard_is_its_rows_of_the_whole(first: int, stop: int) -> None:
    whole, part = whole_and_part(first, stop)
    shard = ops.SampledShard(part, pairs_with(whole.pairs, first, stop))
    assert (shard.rows, shard.n) == (stop - first, N)
    vectors, labels = gaussian(N, 19), torch.arange(N) % 4 - 1
    i, j = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    for side, direction in enumerate(whole.directions):
        assert torch.equal(shard.product(side, vectors), (direction @ vectors)[first:stop])
        scores, neighbors = shard.knn(side, labels, 4)
        expected_scores, expected_neighbors = direction.knn(labels, 4)
        assert torch.equal(scores, expected_scores[first:stop])
        assert torch.equal(neighbors, expected_neighbors[first:stop])
        entries = shard.entries(side, i, j)
        assert torch.equal(entries[first:stop], direction.rows(first, stop))
        assert not entries[:first].any()
        assert not entries[stop:].any()


@pytest.mark.parametrize(("first", "stop"), [(0, 64), (64, N), (70, 70)])
def test_a_shard_without_kernels(first: int, stop: int) -> None:
    """What serves a GPU, against the kernels."""
    whole, part = whole_and_part(first, stop)
    vectors, labels = gaussian(N, 5), torch.arange(N) % 4 - 1
    for direction in part.with_back(pairs_with(whole.pairs, first, stop)):
        weights = sum(matrix.to_dense().abs() for matrix in direction._sparse)
        # Sums of n terms and the vectors' own sum in float32, as in test_sampled_affinity.py.
        bound = 32 * torch.finfo(torch.float32).eps * (weights @ vectors.abs() + N * vectors.abs().max())
        assert ((direction.by_definition(vectors) - direction @ vectors).abs() <= bound).all()
        items = torch.arange(first, stop)
        i, j = torch.broadcast_tensors(items[:, None], torch.arange(N))
        torch.testing.assert_close(direction._entries_by_definition(i, j), direction.entries(i, j))
        if stop > first:
            scores, neighbors = direction._knn_by_definition(labels, 3)
            expected = direction.knn(labels, 3)
            torch.testing.assert_close(scores, expected[0])
            assert torch.equal(neighbors, expected[1])


def test_pairs_of_all_shares_are_all_pairs() -> None:
    whole, _ = whole_and_part(0, N)
    shares = [pairs_with(whole.pairs, *span) for span in ((0, 50), (50, 50), (50, N))]
    assert torch.equal(sum(share.counts for share in shares), whole.pairs.counts)
    for share in shares:
        assert torch.equal(share.starts + share.counts[:, 1], share.counts[:, 1].cumsum(0))
        assert len(share.columns) == len(share.values) == int(share.counts[:, 1].sum())


def test_rows_are_put_aside_and_taken_back() -> None:
    whole, part = whole_and_part(30, 90)
    again = ops.SampledAffinity(N, K, S, seed=4, rows=(30, 90))
    for start, stop in ((60, 90), (30, 60)):
        again.restore(start, {name: value.clone() for name, value in part.parts(start, stop).items()})
    for one, other in zip(again.pairs, part.pairs, strict=True):
        assert torch.equal(one, other)
    back = pairs_with(whole.pairs, 30, 90)
    x = gaussian(N, 3)
    assert torch.equal(again.with_back(back)[0] @ x, part.with_back(back)[0] @ x)


def test_refuses_what_is_not_there() -> None:
    whole, part = whole_and_part(30, 90)
    with pytest.raises(ValueError, match="keeps 60 of 130 rows: it is part of a SampledShard"):
        _ = part.directions
    with pytest.raises(ValueError, match="first: expected 30 to 80, found 81"):
        part.write(81, rank_matrix(N, 0)[81:91], rank_matrix(N, 1)[81:91])
    unwritten = ops.SampledAffinity(N, K, S, rows=(30, 90))
    unwritten.write(30, rank_matrix(N, 0)[30:50], rank_matrix(N, 1)[30:50])
    with pytest.raises(ValueError, match="not written yet: row 50 is missing"):
        ops.SampledShard(unwritten, pairs_with(whole.pairs, 30, 90))


def test_the_kernels_refuse_pairs_past_the_end() -> None:
    from diptych import _cpu

    whole, _ = whole_and_part(0, N)
    out, x = torch.empty(N, _cpu.BLOCK_WIDTH).numpy(), torch.zeros(N, _cpu.BLOCK_WIDTH).numpy()
    far = whole.pairs._replace(starts=whole.pairs.starts + 1)
    with pytest.raises(ValueError, match="starts, counts: past the last pair"):
        _cpu.sampled_product(far.arrays, far.arrays, 0, 1, x, out, 1)
    wide = whole.pairs._replace(values=whole.pairs.values.double())
    with pytest.raises(ValueError, match="pairs: expected contiguous arrays of the documented dtypes"):
        _cpu.sampled_product(wide.arrays, whole.pairs.arrays, 0, 1, x, out, 1)
    with pytest.raises(ValueError, match="first: out of range"):
        _cpu.sampled_product(whole.pairs.arrays, whole.pairs.arrays, 1, 1, x, out, 1)
    short = Pairs(*(part[:-1] for part in whole.pairs))
    with pytest.raises(ValueError, match="first: out of range"):
        _cpu.sampled_product(whole.pairs.arrays, short.arrays, 0, 1, x, out, 1)
