"""diptych.ops.PackedAffinity against difference affinities in float64."""

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import gaussian, integers
from packed_pairs import EPS, SIZES, dense, packed, pair, random_codes, unit_gamma
from test_native_build import LEVELS, run_at

from diptych import ops
from diptych.ops.difference_affinity import differences, reference
from diptych.ops.packed_affinity import STEPS, fold_by_definition

# G in steps: half a step of rounding, and a few float32 roundings of numbers up to 254 before it.
CODE_ERROR = 0.5 + 16 * 254 * EPS
# log F / beta in steps: half a step of G, half of its own, a quarter of dither, and roundings as above.
LOG_ERROR = 1.25 + 32 * 254 * EPS


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


@pytest.mark.parametrize("kind", ["ranks", "float32"])
def test_differences_by_definition(kind: str) -> None:
    a, b = pair(33, kind)
    biased = differences(a, b, 0.2, "locally_biased", 1.0)
    expected = ops.locally_biased_difference(a, b, 0.2, offset=1.0, backend="torch")
    # Ranks are differenced in float64, which the operation rounds to float32.
    assert torch.equal(biased.to(expected.dtype), expected)
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


def test_integers_of_the_helpers_have_ties() -> None:
    # Equal ranks in both representations: no difference, affinity 1 everywhere.
    a = ops.neighbor_ranks(integers(65, 3, 2))
    whole = ops.PackedAffinity(65)
    assert not whole.write(0, a, a).any()
    for direction in whole.fold().directions:
        assert bool((dense(direction) == 1).all())
