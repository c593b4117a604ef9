"""What serves diptych.ops.nnls: every instruction set, and each method where the one before gives up."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import gaussian
from nnls_problems import KINDS, dictionary, objective_gap, tolerances, violation
from scipy.optimize import nnls as scipy_nnls

from diptych import _cpu, ops

LEVELS = ("portable", "avx2", "avx512")

PROGRAM = """
import json
import numpy as np
from diptych import _cpu, ops
rng = np.random.default_rng(0)
result = {"level": _cpu.simd_level()}
for k in (1, 7, 10, 33, 60):
    w, a = rng.standard_normal((k, 70)), rng.standard_normal((37, 70))
    result[k] = ops.nnls(a, w).tolist()
    result[-k] = ops.nnls(a.astype(np.float32), w.astype(np.float32)).tolist()
print(json.dumps(result))
"""


@pytest.mark.parametrize("level", LEVELS)
def test_every_instruction_set_solves(level: str) -> None:
    environment = os.environ | {"DIPTYCH_SIMD": level}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if "this machine cannot run it" in done.stderr:
        pytest.skip(f"this machine has no {level}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["level"] == level
    rng = np.random.default_rng(0)
    for k in (1, 7, 10, 33, 60):
        w, a = rng.standard_normal((k, 70)), rng.standard_normal((37, 70))
        expected = np.stack([scipy_nnls(w.T, row)[0] for row in a])
        # The worst condition (k = 60, d = 70) is about 1e4; float32 rounds inputs and results.
        np.testing.assert_allclose(found[str(k)], expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found[str(-k)], expected, rtol=0, atol=1e-3)


def solved_with_limits(
    a: torch.Tensor, w: torch.Tensor, limits: tuple[int, int, int]
) -> tuple[torch.Tensor, tuple[int, int]]:
    out = torch.full((len(a), len(w)), torch.nan, dtype=a.dtype)
    report = _cpu.nnls(a.numpy(), w.numpy(), out.numpy(), limits, 2)
    return out, report


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 10, 40, 41, 90])
@pytest.mark.parametrize("pivots", [1, 2])
def test_active_sets_take_over_where_pivoting_gives_up(pivots: int, k: int, kind: str) -> None:
    a, w = gaussian(20, 50, 1, torch.float64), dictionary(kind, k, 50)
    found, report = solved_with_limits(a, w, (pivots, 1000, 0))
    assert report == (20, 20)
    kkt, gap = tolerances(torch.float64, k)
    assert violation(a, w, found) <= kkt
    assert objective_gap(a, w, found) <= gap


@pytest.mark.parametrize("kind", ["signed", "duplicates", "zeros", "scales"])
@pytest.mark.parametrize("k", [1, 10, 41])
def test_coordinate_descent_takes_over_where_active_sets_give_up(k: int, kind: str) -> None:
    a, w = gaussian(20, 50, 1, torch.float64), dictionary(kind, k, 50)
    found, report = solved_with_limits(a, w, (1, 0, 10_000))
    assert report == (20, 20)
    # It stops at 1e-9 of 1 + sum |x|, which is below 10 here; atoms have squared distances above 1e-3.
    assert violation(a, w, found) <= 1e-8
    assert objective_gap(a, w, found) <= 1e-8


@pytest.mark.parametrize("k", [10, 60])
def test_a_row_that_nothing_solves_is_told(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, w = gaussian(20, 70, 1, torch.float64), gaussian(k, 70, 2, torch.float64)
    a[:3] = 0  # settled at once
    found, report = solved_with_limits(a, w, (1, 0, 0))
    assert report[0] == 20
    first = report[1]
    assert 3 <= first < 20
    assert bool(found[first].isnan().all())
    assert bool(found[:first].isfinite().all())
    monkeypatch.setattr(sys.modules["diptych.ops.nnls"], "_LIMITS", (1, 0, 0))
    with pytest.raises(RuntimeError, match=f"a: row {first} was not solved within"):
        ops.nnls(a, w)
    assert bool(ops.nnls(a, w, check=False)[first].isnan().all())
