"""What packed affinities refuse."""

import numpy as np
import pytest
import torch
from packed_pairs import folded

from diptych import _cpu, ops

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
