"""diptych.ops.PackedAffinity against difference affinities in float64."""

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import blobs, gaussian, integers, rank_matrix, same_partition
from test_native_build import LEVELS, run_at

from diptych import _cpu, ops
from diptych.ops.difference_affinity import differences, reference
from diptych.ops.packed_affinity import STEPS, fold_by_definition

SIZES = (1, 2, 3, 7, 8, 9, 31, 33, 63, 64, 65, 127, 130, 1023)
EPS = torch.finfo(torch.float32).eps

# G in steps: half a step of rounding, and a few float32 roundings of numbers up to 254 before it.
CODE_ERROR = 0.5 + 16 * 254 * EPS
# log F / beta in steps: half a step of G, half of its own, a quarter of dither, and roundings as above.
LOG_ERROR = 1.25 + 32 * 254 * EPS


def pair(n: int, kind: str = "ranks") -> tuple[torch.Tensor, torch.Tensor]:
    """Two representations' ranks or distances, (n, n)."""
    if kind == "ranks":
        return rank_matrix(n, 1), rank_matrix(n, 2)
    x, y = gaussian(n, 4, 1, torch.float64), gaussian(n, 4, 2, torch.float64)
    dtype = getattr(torch, kind)
    return (x[:, None] - x).norm(dim=2).to(dtype), (y[:, None] - y).norm(dim=2).to(dtype)


def unit_gamma(a: torch.Tensor, b: torch.Tensor) -> float:
    """The factor that brings a - b to [-1, 1]."""
    return 1 / max(1.0, float((a.double() - b.double()).abs().max()))


def packed(a: torch.Tensor, b: torch.Tensor, *arguments: float, **options) -> ops.PackedAffinity:
    result = ops.PackedAffinity(len(a), *arguments, **options)
    result.codes.fill_(-128)  # which is no code
    result.write(0, a, b)
    return result.fold()


def dense(direction: ops.PackedDirection) -> torch.Tensor:
    return direction.rows(0, len(direction))


def random_codes(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-STEPS, STEPS + 1, (n, n), generator=generator, dtype=torch.int8)


def folded(n: int, beta: float = 5.0, seed: int = 0) -> ops.PackedAffinity:
    """Affinities of random differences."""
    result = ops.PackedAffinity(n, beta=beta, out=random_codes(n, seed))
    return result.fold()


def off_diagonal(matrix: torch.Tensor) -> torch.Tensor:
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


@pytest.mark.parametrize("kind", ["ranks", "float32", "float64"])
@pytest.mark.parametrize("n", SIZES)
def test_codes_are_the_differences_in_steps(n: int, kind: str) -> None:
    a, b = pair(n, kind)
    for difference in ("locally_biased", "subtraction"):
        for offset in (0.0, 1.0):
            gamma = 0.1 if difference == "locally_biased" else unit_gamma(a, b)
            # In the float32 that float64 is taken as: a difference of near numbers magnifies its rounding.
            x, y = (side.float().double() for side in (a, b))
            exact = differences(x, y, gamma, difference, offset)
            whole = ops.PackedAffinity(n, gamma, difference=difference, offset=offset)
            whole.codes.fill_(-128)
            sizes = whole.write(0, a, b)
            assert float((whole.codes.double() - STEPS * exact).abs().max()) <= CODE_ERROR
            assert sizes.dtype == torch.float64
            # Each |G| is off by 16 roundings of 2, and as many as 1,024 are summed in float32.
            torch.testing.assert_close(sizes, exact.abs().mean(1), rtol=1024 * EPS, atol=32 * EPS)


@pytest.mark.parametrize("n", [1, 9, 130])
@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_blocks_in_any_order_and_size(n: int, size: int) -> None:
    a, b = pair(n)
    whole, blocks = ops.PackedAffinity(n), ops.PackedAffinity(n)
    blocks.codes.fill_(-128)
    expected, sizes = whole.write(0, a, b), torch.full((n,), torch.nan, dtype=torch.float64)
    starts = np.random.default_rng(n).permutation(np.arange(0, n, size))
    for start in starts:  # numpy's integers, too
        sizes[start : start + size] = blocks.write(start, a[start : start + size], b[start : start + size])
    assert torch.equal(blocks.codes, whole.codes)
    assert torch.equal(sizes, expected)


@pytest.mark.parametrize("beta", [1e-30, 0.01, 1.0, 5.0, 30.0, 80.0])
@pytest.mark.parametrize("difference", ["locally_biased", "subtraction"])
@pytest.mark.parametrize("n", SIZES)
def test_affinities_are_within_their_rounding(n: int, difference: str, beta: float) -> None:
    a, b = pair(n)
    gamma = 0.5 if difference == "locally_biased" else unit_gamma(a, b)
    both = packed(a, b, gamma, beta, difference=difference).directions
    for direction, exact in zip(both, reference(a, b, gamma, beta, difference), strict=True):
        found = dense(direction)
        assert found.dtype == torch.float32
        assert bool(torch.isfinite(found).all())
        assert torch.equal(found, found.T)
        assert bool((found.diagonal() == 1).all())
        assert torch.equal(direction.diagonal(), found.diagonal())
        error = (found.double().log() - exact.log()).abs().max()
        # exp in float32 and the product of two factors are off by 2 eps.
        assert float(error) <= beta / STEPS * LOG_ERROR + 2 * EPS


@pytest.mark.parametrize("beta", [1e-30, 5.0, 80.0])
@pytest.mark.parametrize("gamma", [0.02, 0.1, 0.5])
def test_rounding_hardly_moves_the_mean(gamma: float, beta: float) -> None:
    a, b = pair(1023)
    above = torch.ones(1023, 1023).triu(1) > 0
    whole = ops.PackedAffinity(1023, gamma, beta)
    whole.write(0, a, b)
    g = whole.codes.double()
    whole.fold()
    exact_g = STEPS * differences(a, b, gamma, "locally_biased", 0.0)
    for codes, sign in ((whole.codes, -1), (whole.codes.T, 1)):
        root = torch.sinh((g - g.T) * (beta / (4 * STEPS)))
        exact = (torch.log1p(2 * root.square()) / beta * STEPS + sign * (g + g.T) / 2)[above]
        both = torch.stack([exact - 0.25, exact + 0.25]).clamp(max=STEPS).round()
        # Of 500,000 pairs either dither takes half: its mean is that of both, to within four times the chance
        # of half a step each, 4 / 2 / sqrt(500,000).
        assert abs(float((codes.double()[above] - both.mean(0)).mean())) <= 0.003
        root = torch.sinh((exact_g - exact_g.T) * (beta / (4 * STEPS)))
        unrounded = torch.log1p(2 * root.square()) / beta * STEPS + sign * (exact_g + exact_g.T) / 2
        # As documented. Rounding every half the same way would leave up to 0.25.
        assert abs(float((codes.double() - unrounded)[above].mean())) <= 0.1


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_distances_and_offset(kind: str, offset: float) -> None:
    a, b = pair(65, kind)
    both = packed(a, b, 0.3, 5.0, offset=offset).directions
    exact = reference(a.float().double(), b.float().double(), 0.3, 5.0, offset=offset)
    for direction, expected in zip(both, exact, strict=True):
        error = (dense(direction).double().log() - expected.log()).abs().max()
        assert float(error) <= 5 / STEPS * LOG_ERROR + 2 * EPS


def test_other_dtypes_and_layouts() -> None:
    a, b = pair(33)
    plain = packed(a, b).codes
    for x, y in (
        (a.to(torch.int16), b.to(torch.int64)),
        (a.half(), b.bfloat16()),  # ranks to 33: exact in both
        (a.double(), b),
        (a.numpy(), b.numpy()),
        (np.asfortranarray(a.numpy()), np.repeat(b.numpy(), 2, 1)[:, ::2]),
        (a.numpy().astype(np.uint16), b.numpy().astype(np.uint32)),
    ):
        assert torch.equal(packed(x, y).codes, plain)


def test_duplicates_agree_and_one_zero_is_the_limit() -> None:
    a = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 1.0], [3.0, 1.0, 0.0]])
    b = torch.tensor([[0.0, 2.0, 3.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    f, back = (dense(direction) for direction in packed(a, b).directions)
    assert math.isclose(float(f[0, 1]), math.exp(5), rel_tol=1e-6)
    assert math.isclose(float(back[0, 1]), math.exp(-5), rel_tol=1e-6)
    assert f[0, 2] == back[0, 2] == 1
    assert math.isclose(float(back[1, 2]), math.exp(5), rel_tol=1e-6)


@pytest.mark.parametrize("beta", [1e-30, 0.01, 5.0, 80.0])
@pytest.mark.parametrize("n", SIZES)
def test_fold_is_its_definition(n: int, beta: float) -> None:
    codes = random_codes(n, n)
    expected = codes.clone()
    fold_by_definition(expected, beta)
    found = ops.PackedAffinity(n, beta=beta, out=codes.clone()).fold().codes
    gap = (found.int() - expected.int()).abs()
    assert int(gap.max()) <= 1
    # They may part only where the exact number lies within float32's rounding of a half.
    g, h = codes.double(), codes.T.double()
    root = torch.sinh((g - h) * (beta / (4 * STEPS)))
    exact = (
        torch.log1p(2 * root.square()) / beta * STEPS
        - torch.where(torch.ones(n, n).triu(1) > 0, g + h, -(g + h)) / 2
    )
    parity = (torch.arange(n)[:, None] + torch.arange(n)) % 2
    exact += torch.where(parity == 1, 0.25, -0.25)
    from_half = ((exact - exact.floor()) - 0.5).abs()
    assert bool((from_half[gap > 0] <= 4 * 256 * EPS).all())


@pytest.mark.parametrize("n", SIZES)
def test_products_are_those_of_the_rows(n: int) -> None:
    for direction in folded(n, seed=n).directions:
        matrix = dense(direction).double()
        for k in (1, 2, 15, 16, 17, 40):
            x = gaussian(n, k, k)
            found = direction @ x
            assert found.shape == (n, k)
            assert found.dtype == torch.float32
            # A sum of n products in whatever order (Higham 2002, eq. 3.5), for factors that are the same.
            bound = (n + 1) * EPS * (matrix @ x.double().abs())
            assert bool(((found - matrix @ x.double()).abs() <= bound).all())


def test_products_of_strided_and_of_no_vectors() -> None:
    direction = folded(70).directions[0]
    x = gaussian(70, 6)
    assert torch.equal(direction @ x.T.contiguous().T, direction @ x)
    assert torch.equal(direction @ x[:, ::2], (direction @ x)[:, ::2])
    assert (direction @ x[:, :0]).shape == (70, 0)


@pytest.mark.parametrize("n", [1, 2, 9, 63, 65, 130, 200])
def test_rows_from_anywhere(n: int) -> None:
    for direction in folded(n, seed=n).directions:
        i, j = torch.arange(n)[:, None], torch.arange(n)
        whole = dense(direction)
        # A product of two roundings against one rounding.
        torch.testing.assert_close(whole, direction.entries(i, j), rtol=2 * EPS, atol=0)
        for start in {0, 1, 5, 62, 63, 64, 65, n - 1} & set(range(n)):
            for stop in {start + 1, start + 7, start + 64, n} & set(range(start + 1, n + 1)):
                out = torch.full((stop - start, n), torch.nan)
                assert direction.rows(start, stop, out) is out
                assert torch.equal(out, whole[start:stop])
                assert torch.equal(direction.rows(start, stop), out)


def test_entries_broadcast() -> None:
    for direction in folded(40).directions:
        whole = dense(direction)
        some, others = torch.tensor([3, 39, 0, 3]), torch.tensor([[7], [3], [39]])
        found = direction.entries(some, others)
        assert found.shape == (3, 4)
        torch.testing.assert_close(found, whole[some.expand(3, 4), others.expand(3, 4)], rtol=2 * EPS, atol=0)
        assert direction.entries(torch.tensor(5), torch.tensor(5)) == 1
        assert torch.equal(direction.entries(others, some), found)


@pytest.mark.parametrize("k", [1, 8, 80])
@pytest.mark.parametrize("n", [1, 9, 65, 200])
def test_neighbors_are_those_of_the_rows(n: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.randint(-1, 3, (n,), generator=torch.Generator().manual_seed(n))
    for direction in folded(n, seed=n).directions:
        expected = ops.knn_affinity(dense(direction), labels, k)
        for scratch in (1 << 24, 1):  # one block, and blocks of 64 rows
            monkeypatch.setattr("diptych.ops.packed_affinity._SCRATCH", scratch)
            scores, neighbors = direction.knn(labels, k)
            assert torch.equal(scores, expected.scores)
            assert torch.equal(neighbors, expected.neighbors)
            scores, neighbors = direction.knn(labels.to(torch.int32).numpy(), k)
            assert torch.equal(neighbors, expected.neighbors)


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("n", [1, 65, 130, 300])
def test_two_threads_and_a_second_run_agree(n: int) -> None:
    a, b = pair(n)
    x, labels = gaussian(n, 20), torch.arange(n) % 3
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        whole = ops.PackedAffinity(n)
        found = [whole.write(0, a, b), whole.codes.clone(), whole.fold().codes]
        for direction in whole.directions:
            found += [direction @ x, dense(direction), *direction.knn(labels, 5)]
        results.append(found)
    for found in results[1:]:
        for one, two in zip(results[0], found, strict=True):
            assert one.numpy().tobytes() == two.numpy().tobytes()


# Codes are exact but for ties of rounding, of which these ranks (fractions of small numbers) have none near;
# the rest is printed for a comparison within rounding.
PROGRAM = """
import json
import torch
from diptych import _cpu, ops
g = torch.Generator().manual_seed(0)
x, y = (torch.randint(0, 9, (193, 5), generator=g).float() for _ in range(2))
packed = ops.PackedAffinity(193)
packed.write(0, ops.neighbor_ranks(x), ops.neighbor_ranks(y))
before = packed.codes.tolist()
packed.fold()
v = torch.randn(193, 20, generator=g)
print(json.dumps({
    "level": _cpu.simd_level(),
    "before": before,
    "after": packed.codes.tolist(),
    "rows": [side.rows(5, 80).tolist() for side in packed.directions],
    "products": [(side @ v).tolist() for side in packed.directions],
}))
"""


@pytest.fixture(scope="module")
def at_levels() -> dict[str, subprocess.CompletedProcess[str]]:
    return {level: run_at(level, PROGRAM) for level in LEVELS}


@pytest.mark.parametrize("level", LEVELS)
def test_every_instruction_set_gives_the_same_answers(
    level: str, at_levels: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    done = at_levels[level]
    if "this machine cannot run it" in done.stderr:
        pytest.skip(f"this machine has no {level}")
    assert done.returncode == 0, done.stderr
    found, portable = json.loads(done.stdout), json.loads(at_levels["portable"].stdout)
    assert found["level"] == level
    for name in ("before", "after"):
        # A fused multiply-add may round to the other side of a half.
        gap = np.abs(np.array(found[name]) - np.array(portable[name]))
        assert gap.max() <= 1
        assert gap.mean() <= 1e-3
    if np.array_equal(found["after"], portable["after"]):
        np.testing.assert_allclose(found["rows"], portable["rows"], rtol=2 * EPS)
        # 193 products of affinities up to exp(5) with numbers up to 5, which half cancel.
        np.testing.assert_allclose(found["products"], portable["products"], atol=193 * EPS * 150 * 5)


def test_codes_in_a_memory_map(tmp_path: Path) -> None:
    a, b = pair(65)
    expected = packed(a, b)
    file = np.memmap(tmp_path / "codes", np.int8, "w+", shape=(65, 65))
    mapped = ops.PackedAffinity(65, out=file)
    for start in (40, 0):
        mapped.write(start, a[start : start + 40], b[start : start + 40])
    mapped.fold()
    file.flush()
    again = np.memmap(tmp_path / "codes", np.int8, "r", shape=(65, 65))
    np.testing.assert_array_equal(again, expected.codes)
    x = gaussian(65, 3)
    for one, two in zip(mapped.directions, expected.directions, strict=True):
        assert torch.equal(one @ x, two @ x)


def test_a_given_array_is_written_into() -> None:
    a, b = pair(9)
    given = torch.empty(9, 9, dtype=torch.int8)
    assert packed(a, b, out=given).codes.data_ptr() == given.data_ptr()
    assert torch.equal(given, packed(a, b).codes)


@pytest.mark.parametrize("n", [130, 700])
def test_spectral_methods_take_the_operator(n: int) -> None:
    # Three groups in one representation, none in the other.
    x, groups = blobs(n, 3, 1)
    a, b = ops.neighbor_ranks(x), ops.neighbor_ranks(gaussian(n, 4, 5, torch.float64))
    for direction, exact in zip(packed(a, b).directions, ops.difference_affinity(a, b), strict=True):
        matrix = dense(direction)
        for k in (2, 3):
            labels = ops.spectral_clusters(direction, k)
            assert isinstance(labels, torch.Tensor)
            again = ops.spectral_clusters(matrix, k)
            cuts = [ops.normalized_cut(exact, found) for found in (labels, again)]
            # The operator and its own matrix differ in rounding alone: equal cuts, to the eigensolver's 1e-4.
            assert cuts[0] == pytest.approx(cuts[1], rel=1e-3)
            assert ops.normalized_cut(direction, labels) == pytest.approx(
                ops.normalized_cut(matrix, labels), rel=n * EPS
            )
        found, expected = ops.spectral_embedding(direction, 3), ops.spectral_embedding(matrix, 3)
        # Residuals of 1e-4 bound the distance to an eigenvalue, on both sides.
        torch.testing.assert_close(found.eigenvalues, expected.eigenvalues, rtol=0, atol=2e-4)
    labels = ops.spectral_clusters(packed(a, b).directions[0], 3)
    assert same_partition(labels.numpy(), groups.numpy())


@pytest.mark.parametrize("kind", ["ranks", "float32"])
def test_differences_by_definition(kind: str) -> None:
    a, b = pair(33, kind)
    assert (
        torch.equal(
            differences(a, b, 0.2, "locally_biased", 1.0),
            ops.locally_biased_difference(a, b, 0.2, offset=1.0, backend="torch").to(
                differences(a, b, 0.2, "locally_biased", 1.0).dtype
            ),
        )
        or kind == "ranks"
    )
    plain = differences(a, b, 0.2, "subtraction", 0.0)
    torch.testing.assert_close(plain.double(), 0.2 * (a.double() - b.double()), rtol=1e-6, atol=1e-6)
    assert plain.dtype == (torch.float64 if kind == "ranks" else torch.float32)


@pytest.mark.gpu
@pytest.mark.parametrize("difference", ["locally_biased", "subtraction"])
@pytest.mark.parametrize("n", [1, 65, 300])
def test_on_a_gpu(n: int, difference: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    a, b = pair(n)
    gamma = 0.2 if difference == "locally_biased" else unit_gamma(a, b)
    here = ops.PackedAffinity(n, gamma, difference=difference)
    there = ops.PackedAffinity(n, gamma, difference=difference, device="cuda")
    sizes, sizes_there = here.write(0, a, b), there.write(0, a.cuda(), b.cuda())
    torch.testing.assert_close(sizes_there.cpu(), sizes, rtol=1024 * EPS, atol=32 * EPS)
    # Float64 against float32: one step where the number lies at a half.
    gap = (there.codes.cpu().int() - here.codes.int()).abs()
    assert int(gap.max()) <= 1
    assert float(gap.double().mean()) <= 1e-3
    there.codes.copy_(here.codes)
    here.fold()
    there.fold()
    assert int((there.codes.cpu().int() - here.codes.int()).abs().max()) <= 1
    there.codes.copy_(here.codes)
    labels, x = torch.arange(n) % 3, gaussian(n, 20)
    for one, other in zip(here.directions, there.directions, strict=True):
        rows = other.rows(n // 3, n)
        torch.testing.assert_close(rows.cpu(), one.rows(n // 3, n), rtol=2 * EPS, atol=0)
        product = (other @ x.cuda()).cpu().double()
        matrix = dense(one).double()
        bound = (n + 4) * EPS * (matrix @ x.double().abs())
        assert bool(((product - matrix @ x.double()).abs() <= bound).all())
        scores, neighbors = other.knn(labels.cuda(), 5)
        expected = ops.knn_affinity(dense(other), labels.cuda(), 5)
        torch.testing.assert_close(scores, expected.scores, rtol=5 * EPS, atol=0)
        assert torch.equal(neighbors, expected.neighbors)


ranks3 = torch.tensor([[0, 1, 2], [1, 0, 2], [1, 2, 0]], dtype=torch.int32)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0,), {}, "n: expected 1 to 2147483647, found 0"),
        ((2**31,), {}, "n: expected 1 to 2147483647"),
        ((3, 0.0), {}, "gamma: expected a number above 0"),
        ((3, 0.1, -1.0), {}, "beta: expected a number above 0"),
        ((3, 0.1, 81.0), {}, r"beta: expected 0 to 80\.0, found 81"),
        ((3,), {"difference": "none"}, "difference: expected one of 'locally_biased', 'subtraction'"),
        ((3,), {"offset": -1.0}, "offset: expected 0 to inf, found -1"),
        ((3,), {"out": torch.zeros(3, 4, dtype=torch.int8)}, r"out: expected shape \(3, 3\)"),
        ((3,), {"out": torch.zeros(3, 3)}, r"out: expected shape \(3, 3\) and torch\.int8, found"),
        ((3,), {"out": torch.zeros(3, 6, dtype=torch.int8)[:, ::2]}, "out: expected a contiguous array"),
    ],
)
def test_refuses_to_be_made(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.PackedAffinity(*arguments, **options)


def test_refuses_what_is_no_number_or_array() -> None:
    with pytest.raises(TypeError, match=r"n: expected an integer, found 3\.0"):
        ops.PackedAffinity(3.0)
    with pytest.raises(TypeError, match="gamma: expected a number, found 'a'"):
        ops.PackedAffinity(3, "a")
    with pytest.raises(TypeError, match="out: expected an array to write into, found list"):
        ops.PackedAffinity(3, out=[1])
    read_only = np.zeros((3, 3), np.int8)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected an array to write into, found a read-only one"):
        ops.PackedAffinity(3, out=read_only)
    with pytest.raises(TypeError, match=r"first: expected an integer, found 0\.5"):
        ops.PackedAffinity(3).write(0.5, ranks3, ranks3)


@pytest.mark.parametrize(
    ("first", "a", "b", "message"),
    [
        (0, ranks3, ranks3[:2], r"a and b: shapes differ, \(3, 3\) and \(2, 3\)"),
        (0, ranks3[0], ranks3[0], r"a: expected a matrix \(n, d\), found shape \(3,\)"),
        (0, ranks3[:, :2], ranks3[:, :2], r"a: expected up to 3 rows of 3 entries, found shape \(3, 2\)"),
        (0, ranks3[[0, 1, 2, 2]], ranks3[[0, 1, 2, 2]], r"a: expected up to 3 rows .* found shape \(4, 3\)"),
        (0, ranks3[:0], ranks3[:0], "a: expected at least one row and column"),
        (1, ranks3, ranks3, "first: expected 0 to 0, found 1"),
        (-1, ranks3[:1], ranks3[:1], "first: expected 0 to 2, found -1"),
        (0, ranks3.to("meta"), ranks3, "one device, found a on meta, b on cpu"),
        (0, ranks3.to("meta"), ranks3.to("meta"), "one device, found a on meta, codes on cpu"),
        (0, ranks3 * torch.nan, ranks3, "a: expected finite numbers, found NaN or Inf in row 0"),
        (0, ranks3.double() * 1e300, ranks3, "a: expected finite numbers"),
        (0, ranks3, -ranks3, "b: expected ranks or distances >= 0, found -2"),
        (0, ranks3, ranks3.long() + 2**31, "b: expected ranks up to 2147483647"),
    ],
)
def test_refuses_rows(first: int, a: torch.Tensor, b: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.PackedAffinity(3).write(first, a, b)


def test_refuses_a_subtraction_beyond_one_and_never_wraps_round() -> None:
    whole = ops.PackedAffinity(3, 0.6, difference="subtraction")
    with pytest.raises(ValueError, match=r"gamma: expected a factor that .* found 0\.6, which leaves 1\.2"):
        whole.write(0, ranks3, torch.zeros_like(ranks3))
    whole.write(0, ranks3, torch.zeros_like(ranks3), check=False)
    assert whole.codes.tolist() == [[0, 76, 127], [76, 0, 127], [76, 127, 0]]
    whole.write(0, torch.zeros_like(ranks3), ranks3, check=False)
    assert whole.codes.tolist() == [[0, -76, -127], [-76, 0, -127], [-76, -127, 0]]


def test_refuses_steps_out_of_order() -> None:
    whole = ops.PackedAffinity(3)
    with pytest.raises(ValueError, match="not folded yet: call fold"):
        _ = whole.directions
    whole.write(0, ranks3, ranks3)
    assert whole.fold() is whole
    with pytest.raises(ValueError, match="is folded already"):
        whole.fold()
    with pytest.raises(ValueError, match="is folded, its differences are gone"):
        whole.write(0, ranks3, ranks3)


def test_refuses_vectors_rows_and_labels() -> None:
    direction = folded(5).directions[0]
    for x in (torch.ones(5), torch.ones(4, 2)):
        with pytest.raises(ValueError, match=r"x: expected shape \(5, k\), found"):
            _ = direction @ x
    with pytest.raises(TypeError, match=r"x: expected torch\.float32, found torch\.float64"):
        _ = direction @ torch.ones(5, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="one device, found affinity on cpu, x on meta"):
        _ = direction @ torch.ones(5, 2, device="meta")
    for start, stop, message in (
        (-1, 2, "start: expected 0 to 4, found -1"),
        (5, 6, "start: expected 0 to 4, found 5"),
        (2, 2, "stop: expected 3 to 5, found 2"),
        (2, 6, "stop: expected 3 to 5, found 6"),
    ):
        with pytest.raises(ValueError, match=message):
            direction.rows(start, stop)
    with pytest.raises(TypeError, match=r"stop: expected an integer, found 2\.0"):
        direction.rows(0, 2.0)
    with pytest.raises(ValueError, match=r"out: expected shape \(2, 5\) and torch\.float32"):
        direction.rows(0, 2, torch.empty(3, 5))
    with pytest.raises(ValueError, match=r"labels: expected shape \(5,\), found \(4,\)"):
        direction.knn(torch.zeros(4, dtype=torch.int64), 1)
    with pytest.raises(TypeError, match=r"labels: expected integers, found torch\.float32"):
        direction.knn(torch.zeros(5), 1)
    with pytest.raises(ValueError, match="k: expected 1 to 256, found 0"):
        direction.knn(torch.zeros(5, dtype=torch.int64), 0)
    with pytest.raises(ValueError, match="one device, found affinity on cpu, labels on meta"):
        direction.knn(torch.zeros(5, dtype=torch.int64, device="meta"), 1)


def test_the_compiled_module_refuses_shapes_that_do_not_fit() -> None:
    codes, x = np.zeros((5, 5), np.int8), np.zeros((5, _cpu.BLOCK_WIDTH), np.float32)
    ranks = np.zeros((5, 5), np.int32)
    with pytest.raises(ValueError, match="a, b, out, sizes: shapes differ"):
        _cpu.pack_difference(ranks, ranks[:4], False, 0.1, 0.0, codes, np.zeros(5), 1)
    with pytest.raises(ValueError, match="a, b, out: expected matrices"):
        _cpu.pack_difference(ranks[0], ranks[0], False, 0.1, 0.0, codes, np.zeros(5), 1)
    with pytest.raises(ValueError, match=r"codes: expected \(n, n\)"):
        _cpu.fold_packed(codes[:4], 5.0, 1)
    with pytest.raises(ValueError, match=r"codes: expected \(n, n\)"):
        _cpu.packed_product(codes[:4], True, 5.0, x, x.copy(), 1)
    with pytest.raises(ValueError, match=r"x, out: expected \(n, BLOCK_WIDTH\)"):
        _cpu.packed_product(codes, True, 5.0, x[:, :3].copy(), x.copy(), 1)
    with pytest.raises(ValueError, match="out: expected rows of codes"):
        _cpu.packed_rows(codes, True, 5.0, 3, np.zeros((3, 5), np.float32), 1)


def test_integers_of_the_helpers_have_ties() -> None:
    # Equal ranks in both representations: no difference, affinity 1 everywhere.
    a = ops.neighbor_ranks(integers(65, 3, 2))
    whole = ops.PackedAffinity(65)
    assert not whole.write(0, a, a).any()
    for direction in whole.fold().directions:
        assert bool((dense(direction) == 1).all())
