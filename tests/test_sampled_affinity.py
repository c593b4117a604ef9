"""Affinities estimated from a few pairs of each item: what is kept, that it is unbiased, and the product."""

import math

import numpy as np
import pytest
import torch
from helpers import blobs, gaussian, integers, rank_matrix, same_partition

from diptych import ops
from diptych.ops import sampled_affinity as module
from diptych.ops._sampled_direction import weights
from diptych.ops.difference_affinity import reference as affinity_reference

SHAPES = ((9, 1, 1), (33, 2, 5), (65, 4, 20), (130, 8, 40), (385, 16, 64))

# exp|y| - 1 in float32 is off by eps (1 + |y|) exp|y|, relative to itself by a thousandth of a percent where
# |y| is not tiny; a point in the sum of a few hundred such terms, by less than this.
CLOSE = 2e-3


def ranks(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return rank_matrix(n, 2 * seed), rank_matrix(n, 2 * seed + 1)


def sampled(a: torch.Tensor, b: torch.Tensor, k: int, s: int, **options: object) -> ops.SampledAffinity:
    affinity = ops.SampledAffinity(len(a), k, s, **options)
    affinity.write(0, a, b)
    return affinity


def by_definition(a: torch.Tensor, b: torch.Tensor, k: int, s: int, **options: object) -> module.Pairs:
    gamma, beta = options.pop("gamma", 0.1), options.pop("beta", 5.0)
    return module.reference(a, b, 0, k, s, gamma, beta, **options)[0]


def dense(pairs: module.Pairs, sign: int) -> torch.Tensor:
    """1 + (W + Wᵀ) / 2, in float64."""
    wide = pairs._replace(values=pairs.values.double(), scales=pairs.scales.double())
    rows, columns, entries = weights(wide, sign)
    n = len(pairs.counts)
    matrix = torch.zeros(n, n, dtype=torch.float64)
    matrix.index_put_((rows, columns), entries, accumulate=True)
    return 1 + (matrix + matrix.T) / 2


def known(pairs: module.Pairs, sign: int) -> torch.Tensor:
    """(F + Fᵀ) / 2 with 1 for the entries of F that are not kept, in float64."""
    n = len(pairs.values)
    matrix = torch.ones(n, n, dtype=torch.float64)
    matrix.scatter_(1, pairs.columns.long(), torch.exp(sign * pairs.values.double()))
    return (matrix + matrix.T) / 2


def assert_same_choice(
    kept: module.Pairs, a: torch.Tensor, b: torch.Tensor, k: int, s: int, **options: object
) -> None:
    """The sure pairs are those of the definition, and each drawn one is where its point falls."""
    seed = int(options.get("seed", 0))
    wanted = by_definition(a, b, k, s, **dict(options))
    assert torch.equal(kept.counts, wanted.counts)
    torch.testing.assert_close(kept.scales, wanted.scales, rtol=1e-4, atol=0)
    g = module.differences(
        a,
        b,
        options.get("gamma", 0.1),
        options.get("difference", "locally_biased"),
        options.get("offset", 0.0),
    ).double()
    logs = -options.get("beta", 5.0) * g
    for i, (sure, count) in enumerate(kept.counts.tolist()):
        columns = kept.columns[i].long()
        assert torch.equal(columns[:sure], wanted.columns[i, :sure].long())
        assert (columns[count:] == i).all()
        assert (kept.values[i, count:] == 0).all()
        assert not (columns[:count] == i).any()
        torch.testing.assert_close(
            kept.values[i, :count].double(), logs[i, columns[:count]], rtol=1e-5, atol=1e-5
        )
        drawn = columns[sure:count]
        assert (drawn[1:] >= drawn[:-1]).all()
        weight = torch.expm1(logs[i].abs()) / wanted.scales[i].double()
        weight[columns[:sure]] = 0
        weight[i] = 0
        reached = weight.cumsum(0)
        places = torch.arange(count - sure)
        points = places + module.uniforms(seed, torch.tensor(i), places)
        assert (points >= (reached - weight)[drawn] - CLOSE).all()
        assert (points <= reached[drawn] + CLOSE).all()


@pytest.mark.parametrize(("n", "k", "s"), SHAPES)
def test_keeps_the_pairs_of_the_definition(n: int, k: int, s: int) -> None:
    a, b = ranks(n)
    affinity = sampled(a, b, k, s, seed=3)
    assert_same_choice(affinity.pairs, a, b, k, s, seed=3)
    nearest = (a <= k) | (b <= k)
    nearest.fill_diagonal_(False)
    for i in range(n):
        sure = set(affinity.pairs.columns[i, : affinity.pairs.counts[i, 0]].tolist())
        assert sure >= set(nearest[i].nonzero()[:, 0].tolist())
    assert int(affinity.pairs.counts[:, 1].max()) <= 2 * k + s


@pytest.mark.parametrize("options", [{"offset": 1.0}, {"beta": 1.0, "gamma": 2.0}, {"beta": 80.0}])
def test_options_of_the_difference(options: dict[str, float]) -> None:
    a, b = ranks(97)
    assert_same_choice(sampled(a, b, 4, 30, **options).pairs, a, b, 4, 30, **options)


def test_subtraction() -> None:
    a, b = ranks(97)
    options = {"difference": "subtraction", "gamma": 1 / 96}
    assert_same_choice(sampled(a, b, 4, 30, **options).pairs, a, b, 4, 30, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distances_with_ties(dtype: torch.dtype) -> None:
    a, b = (torch.cdist(x, x).to(dtype) for x in (integers(80, 2, 4), integers(80, 2, 4, seed=1)))
    affinity = sampled(a, b, 6, 20)
    assert_same_choice(affinity.pairs, a.float(), b.float(), 6, 20)


def test_written_in_blocks_and_threads_alike(keep_threads: None) -> None:
    a, b = ranks(301)
    torch.set_num_threads(1)
    whole = sampled(a, b, 8, 50, seed=5)
    torch.set_num_threads(2)
    parts = ops.SampledAffinity(301, 8, 50, seed=5)
    for start in (200, 0, 77):
        stop = {200: 301, 0: 77, 77: 200}[start]
        parts.write(start, a[start:stop], b[start:stop])
    for one, other in zip(whole.pairs, parts.pairs, strict=True):
        assert torch.equal(one, other)
    x = gaussian(301, 21)
    for one, other in zip(whole.directions, parts.directions, strict=True):
        two = other @ x
        torch.set_num_threads(1)
        assert torch.equal(one @ x, two)
        torch.set_num_threads(2)


def test_another_seed_draws_others() -> None:
    a, b = ranks(301)
    first, second = (sampled(a, b, 8, 50, seed=seed).pairs for seed in (0, 1))
    assert torch.equal(first.counts, second.counts)
    assert not torch.equal(first.columns, second.columns)


def test_unbiased() -> None:
    n, k, s, draws = 60, 3, 12, 400
    a, b = ranks(n)
    logs = -5 * module.differences(a, b, 0.1, "locally_biased", 0.0)
    pairs = sampled(a, b, k, s).pairs
    probability = torch.expm1(logs.abs()) / pairs.scales[:, None].double()
    for i in range(n):
        probability[i, pairs.columns[i, : pairs.counts[i, 0]].long()] = 1
    kept = [sampled(a, b, k, s, seed=seed).pairs for seed in range(draws)]
    for sign, wanted in zip((1, -1), affinity_reference(a, b, 0.1, 5.0), strict=True):
        estimates = torch.stack([dense(pairs, sign) for pairs in kept])
        # A pair is met by one part or by two neighboring ones: the variance of how often is at most p.
        variance = torch.expm1(sign * logs).square() / probability
        variance = variance.masked_fill(probability == 1, 0).fill_diagonal_(0)
        error = ((variance + variance.T) / 4 / draws).sqrt()
        gap = estimates.mean(0) - wanted
        assert (error > 0).float().mean() > 0.5
        assert (gap[error == 0].abs() < 1e-4).all()
        scores = (gap / error)[error > 0]
        # 2,500 scores, each pair's twice, of variance at most 1: their mean is within 0.03, that of their
        # squares, whose own variance is some tens for rare pairs, within 0.2.
        assert abs(float(scores.mean())) < 0.12
        assert 0.6 < float(scores.square().mean()) < 1.3
        totals = estimates.sum((1, 2))
        assert abs(float(totals.mean() - wanted.sum())) < 4 * float(totals.std()) / math.sqrt(draws)


@pytest.mark.parametrize(("n", "k", "s"), SHAPES)
@pytest.mark.parametrize("width", [1, 16, 19])
def test_product(n: int, k: int, s: int, width: int) -> None:
    affinity = sampled(*ranks(n), k, s)
    x = gaussian(n, width)
    for sign, direction in zip((1, -1), affinity.directions, strict=True):
        matrix = dense(affinity.pairs, sign)
        # Sums of n + width terms in float32.
        bound = 4 * torch.finfo(torch.float32).eps * (matrix.abs() @ x.double().abs() + n * x.abs().max())
        for product in (direction @ x, direction.by_definition(x)):
            assert ((product.double() - matrix @ x.double()).abs() <= bound * 8).all()
        assert torch.equal(direction.diagonal(), torch.ones(n))
        torch.testing.assert_close(direction.diagonal().double(), matrix.diagonal())


@pytest.mark.parametrize(("n", "k", "s"), SHAPES)
def test_entries_and_rows(n: int, k: int, s: int) -> None:
    affinity = sampled(*ranks(n), k, s)
    items = torch.arange(n)
    for sign, direction in zip((1, -1), affinity.directions, strict=True):
        matrix = known(affinity.pairs, sign)
        torch.testing.assert_close(
            direction.entries(items[:, None], items).double(), matrix, rtol=1e-5, atol=1e-6
        )
        torch.testing.assert_close(direction.rows(1, 4).double(), matrix[1:4], rtol=1e-5, atol=1e-6)
        i, j = torch.meshgrid(items, items, indexing="ij")
        torch.testing.assert_close(direction._entries_by_definition(i, j), matrix.float())


@pytest.mark.parametrize("k", [1, 3, 40])
def test_neighbors_inside_clusters(k: int) -> None:
    n = 130
    affinity = sampled(*ranks(n), 8, 40)
    labels = torch.arange(n) % 4 - 1
    held = torch.zeros(n, n, dtype=torch.bool).scatter_(1, affinity.pairs.columns.long(), True)
    for direction in affinity.directions:
        among = direction.rows(0, n).masked_fill(~held, -1)
        wanted = ops.knn_affinity(torch.where(held, among, torch.zeros(())), labels, k)
        missing = wanted.neighbors < 0
        unknown = ~held.gather(1, wanted.neighbors.clamp(min=0))
        neighbors = wanted.neighbors.masked_fill(missing | unknown, -1)
        for scores, found in (direction.knn(labels, k), direction._knn_by_definition(labels, k)):
            assert torch.equal(found, neighbors)
            torch.testing.assert_close(scores, wanted.scores, rtol=1e-5, atol=0)


def test_swapped_representations_swap_the_directions() -> None:
    a, b = ranks(130)
    there, back = sampled(a, b, 8, 40).directions
    swapped = sampled(b, a, 8, 40).directions
    x = gaussian(130, 3)
    torch.testing.assert_close(there @ x, swapped[1] @ x)
    torch.testing.assert_close(back @ x, swapped[0] @ x)


def test_alike_representations_have_nothing_to_draw() -> None:
    a, _ = ranks(130)
    affinity = sampled(a, a, 8, 40)
    assert (affinity.pairs.counts == 8).all()
    x = gaussian(130, 3)
    for direction in affinity.directions:
        torch.testing.assert_close(direction @ x, x.double().sum(0).float().expand(130, 3))


def test_mean_difference() -> None:
    a, b = ranks(130)
    sizes = ops.SampledAffinity(130, 8, 40).write(0, a, b)
    wanted = module.differences(a, b, 0.1, "locally_biased", 0.0).abs().mean(1)
    torch.testing.assert_close(sizes, wanted, rtol=1e-5, atol=0)


def test_generator() -> None:
    def scrambled(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    step = 0x9E3779B97F4A7C15
    for seed, row, draw in ((0, 0, 0), (7, 123_456, 89), (2**63 - 1, 2**31 - 1, 1023)):
        stream = scrambled((scrambled((seed + step) % 2**64) + (row + 1) * step) % 2**64)
        wanted = (scrambled((stream + (draw + 1) * step) % 2**64) >> 11) / 2**53
        assert float(module.uniforms(seed, torch.tensor(row), torch.tensor(draw))) == wanted
    many = module.uniforms(1, torch.arange(200)[:, None], torch.arange(200)).flatten()
    counts = torch.histc(many, 50, 0, 1)
    # 800 fall into each bin; chi-square with 49 degrees of freedom passes 90 once in 3,000 seeds.
    assert float(((counts - 800) ** 2 / 800).sum()) < 90


def test_clusters_of_planted_groups() -> None:
    x, groups = blobs(900, 3)
    other = gaussian(900, 5, 1)
    affinity = sampled(ops.neighbor_ranks(x), ops.neighbor_ranks(other), 16, 100)
    labels = ops.spectral_clusters(affinity.directions[0], 3)
    assert same_partition(labels.numpy(), groups.numpy())


def test_numpy_arrays() -> None:
    a, b = ranks(65)
    affinity = ops.SampledAffinity(65, 4, 20)
    affinity.write(0, np.asfortranarray(a.numpy()), b.numpy().astype(np.int64))
    for one, other in zip(affinity.pairs, sampled(a, b, 4, 20).pairs, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1,), ValueError, "n: expected 2 to"),
        ((2.5,), TypeError, "n: expected an integer"),
        ((50, 0, 10), ValueError, "neighbors: expected 1 to"),
        ((50, 50, 1), ValueError, "neighbors: expected fewer than the 50 items, found 50"),
        ((50, 4, 0), ValueError, "samples: expected 1 to"),
        ((50, 4, "many"), TypeError, "samples: expected an integer"),
        (
            (50, 4, 41),
            ValueError,
            r"neighbors and samples: 2 \* 4 \+ 41 pairs of each item are no fewer than the 49",
        ),
        ((50, 4, 20, 0.0), ValueError, "gamma: expected a number above 0"),
        ((50, 4, 20, 0.1, 81.0), ValueError, "beta: expected 0 to 80"),
    ],
)
def test_refuses_parameters(arguments: tuple[object, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.SampledAffinity(*arguments)


def test_refuses_options() -> None:
    with pytest.raises(ValueError, match="difference: expected one of"):
        ops.SampledAffinity(50, 4, 20, difference="ratio")
    with pytest.raises(ValueError, match="offset: expected 0 to"):
        ops.SampledAffinity(50, 4, 20, offset=-1.0)
    with pytest.raises(ValueError, match="seed: expected 0 to"):
        ops.SampledAffinity(50, 4, 20, seed=-1)


def test_refuses_rows() -> None:
    a, b = ranks(50)
    affinity = ops.SampledAffinity(50, 4, 20)
    with pytest.raises(ValueError, match="a: expected rows of 50 entries, found 49"):
        affinity.write(0, a[:, :49], b[:, :49])
    with pytest.raises(ValueError, match="a and b: shapes differ"):
        affinity.write(0, a, b[:49])
    with pytest.raises(ValueError, match="first: expected 0 to 0, found 1"):
        affinity.write(1, a, b)
    with pytest.raises(ValueError, match="a: expected finite numbers"):
        affinity.write(0, torch.full((50, 50), math.nan), b.float())
    with pytest.raises(ValueError, match="a: expected ranks or distances >= 0"):
        affinity.write(0, -a, b)
    affinity.write(0, a[:20], b[:20])
    with pytest.raises(ValueError, match="not written yet: row 20 is missing"):
        _ = affinity.directions
