"""Importance, refitting and replacement of concepts, beside the loops a user would write.

Shapes are those of one ImageNet class: n = 3200 patches (200 images of 16), k = 10 concepts, c = 1000
classes, d = 512 or 2048; for the replacement test the 800 patches of 50 images. Counted:

- Integrated gradients through a linear head, closed form: 2 k d operations for W h and n k for the product
  with U, 0.04 MFLOP; n k numbers read and written, 0.26 MB. The loop of 30 steps through the torch module
  does 30 · 2 · (2 n k d + 2 n d c) operations, forward and backward: 200 GFLOP at d = 512 and c = 1000,
  4 GFLOP with c = 10.
- Refit: as in bench_nnls.py, 2 n k d = 33 MFLOP and about four solves of ten unknowns per row.
- Replacement through a linear head: 2 n k c operations for the logits by way of W Hᵀ, and two softmaxes and
  three sums of n c numbers per concept; going through the activations adds 2 (2 k + 1) n d c operations,
  69 GFLOP at d = 2048.

The closed form is timed by a hundred calls in a row, and once more by single calls each after other work (a
step of the loop, a pause), which pay for cold caches and sleeping threads. Baselines: the batched loop takes
all patches at once per step; the one per patch a patch after the other (the first 20, its time scaled up);
both ask autograd for the gradient of one logit with respect to the coefficients. scipy.optimize.nnls solves
one row per call, in float64. Replacement: the same figures from whole activation matrices, concept by
concept, in float32, the fastest that torch offers.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_concepts.py
"""

import json
import time

import numpy as np
import pytest
import torch
from scipy.optimize import nnls as scipy_nnls
from torch import nn

from conftest import race, spread, timed
from diptych import rsvc

N, K, STEPS = 3200, 10, 30
FEW = 20


def concepts(n, d, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.random((n, K)) * (rng.random((n, K)) < 0.4)
    return torch.from_numpy(u).float(), torch.from_numpy(rng.random((K, d)) / d).float()


def linear(d, c):
    torch.manual_seed(0)
    return nn.Linear(d, c)


def batched_loop(u, w, head, target):
    total = torch.zeros_like(u)
    for step in range(STEPS):
        point = (u * ((step + 0.5) / STEPS)).requires_grad_()
        (gradient,) = torch.autograd.grad(head(point @ w)[:, target].sum(), point)
        total += gradient
    return u * total / STEPS


def largest(found, wanted):
    return float((found.double() - wanted.double()).abs().max() / wanted.abs().max())


@pytest.mark.parametrize(("d", "c", "rounds"), [(512, 1000, 3), (2048, 1000, 2), (512, 10, 5)])
def test_integrated_gradients(benchmark, recorder, limits, d, c, rounds):
    u, w = concepts(N, d)
    head = linear(d, c)
    calls = 100

    def ours():
        for _ in range(calls):
            rsvc.concept_integrated_gradients(u, w, head, 3, steps=STEPS)

    def per_patch():
        return torch.cat([batched_loop(row[None], w, head, 3) for row in u[:FEW]])

    def cold():
        batched_loop(u[:100], w, head, 3)
        time.sleep(0.1)
        return timed(lambda: rsvc.concept_integrated_gradients(u, w, head, 3, steps=STEPS))

    error = largest(
        rsvc.concept_integrated_gradients(u, w, head, 3, steps=STEPS), batched_loop(u, w, head, 3)
    )
    # Float32 sums of thirty gradients that are products of d terms.
    assert error < 1e-5
    baselines = {
        "torch autograd, patch by patch": (per_patch, N / FEW),
        "torch autograd, all patches at once": (lambda: batched_loop(u, w, head, 3), 1),
    }
    functions = {name: function for name, (function, _) in baselines.items()}
    times, found = race(benchmark, ours, functions, rounds)
    warm = spread([each / calls for each in times])
    for kind, own in (("", warm), (", single calls after other work", spread([cold() for _ in range(9)]))):
        for name, (_, scale) in baselines.items():
            baseline = float(np.percentile(found[name], 20)) * scale
            rate = 2 * N * K * 4 / own["p20_s"]
            recorder.add(
                op="concept integrated gradients, linear head" + kind,
                shape=f"n={N} d={d} k={K} c={c} steps={STEPS}",
                dtype="float32",
                backend="torch",
                **own,
                rate=rate / 1e9,
                unit="GB/s of coefficients",
                share_of_limit=rate / limits["copy"],
                baseline=name,
                baseline_p20_s=baseline,
                ratio=baseline / own["p20_s"],
                error=json.dumps({"largest": float(f"{error:.2g}")}),
            )
            assert kind or baseline / warm["p20_s"] >= 1000


def test_integrated_gradients_of_any_head(benchmark, recorder):
    d, c = 512, 1000
    u, w = concepts(N, d)
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(d, 256), nn.ReLU(), nn.Linear(256, c))
    wanted = batched_loop(u, w, head, 3)
    error = largest(rsvc.concept_integrated_gradients(u, w, head, 3), wanted)
    assert error < 1e-5
    name = "torch autograd, all patches at once"
    times, found = race(
        benchmark,
        lambda: rsvc.concept_integrated_gradients(u, w, head, 3),
        {name: lambda: batched_loop(u, w, head, 3)},
        3,
    )
    own, baseline = spread(times), float(np.percentile(found[name], 20))
    recorder.add(
        op="concept integrated gradients, two-layer head",
        shape=f"n={N} d={d} hidden=256 k={K} c={c} steps={STEPS}",
        dtype="float32",
        backend="torch",
        **own,
        baseline=name,
        baseline_p20_s=baseline,
        ratio=baseline / own["p20_s"],
        error=json.dumps({"largest": float(f"{error:.2g}")}),
    )


@pytest.mark.parametrize("d", [512, 2048])
def test_refit(benchmark, recorder, limits, d):
    u, w = concepts(N, d)
    rng = np.random.default_rng(1)
    a = (u @ w).numpy()
    a = np.maximum(a + 0.3 * a.std() * rng.standard_normal((N, d)), 0).astype(np.float32)
    basis = w.numpy()
    wide, columns = a.astype(np.float64), np.asfortranarray(basis.T.astype(np.float64))

    def per_row():
        return np.stack([scipy_nnls(columns, row)[0] for row in wide])

    wanted = per_row()
    found = rsvc.refit(a, basis)
    error = float(np.abs(found - wanted).max() / wanted.max())
    assert error < 1e-6
    name = "scipy per row"
    times, others = race(benchmark, lambda: rsvc.refit(a, basis), {name: per_row}, 7)
    own, baseline = spread(times), float(np.percentile(others[name], 20))
    rate = 2 * N * d * K / own["p20_s"]
    recorder.add(
        op="refit",
        shape=f"n={N} d={d} k={K}",
        dtype="float32",
        backend="cpu",
        **own,
        rate=rate / 1e9,
        unit="GFLOP/s of products",
        share_of_limit=rate / limits["gemm"],
        baseline=name,
        baseline_p20_s=baseline,
        ratio=baseline / own["p20_s"],
        error=json.dumps({"largest": float(f"{error:.2g}")}),
    )
    assert baseline / own["p20_s"] >= 30


def whole_activations(u, w, same, cross, head):
    """The figures of the replacement test from activation matrices, as one would write them in torch."""
    rows = []
    with torch.no_grad():
        original = torch.log_softmax(head(u @ w), 1)
        for j in range(K):
            outputs = []
            for predicted in (same, cross):
                replaced = u.clone()
                replaced[:, j] = predicted[:, j]
                activations = replaced @ w
                outputs.append((activations, torch.log_softmax(head(activations), 1)))
            (a_same, log_same), (a_cross, log_cross) = outputs
            kl = nn.functional.kl_div(log_cross, log_same, reduction="batchmean", log_target=True)
            delta_kl = [
                nn.functional.kl_div(each, original, reduction="batchmean", log_target=True)
                for each in (log_same, log_cross)
            ]
            match = (log_same.argmax(1) == log_cross.argmax(1)).float().mean()
            l2 = (a_cross - a_same).norm(dim=1).mean()
            rows.append(torch.stack([l2, kl, match, delta_kl[1] - delta_kl[0]]))
    return torch.stack(rows)


@pytest.mark.parametrize(("d", "rounds"), [(512, 3), (2048, 3)])
def test_replacement(benchmark, recorder, d, rounds):
    n, c = 800, 1000
    u, w = concepts(n, d)
    w = w * d
    rng = torch.Generator().manual_seed(1)
    same, cross = (u + share * torch.rand(n, K, generator=rng) for share in (0.1, 0.5))
    head = linear(d, c)
    found = rsvc.replacement_test(u, w, same, cross, head)
    ours = torch.stack([found.l2, found.kl, found.match, found.delta_kl], 1)
    theirs = whole_activations(u, w, same, cross, head)
    error = float((ours - theirs).abs().max())
    # The baseline's float32 logits of size ten are good to 1e-6; figures are of order one.
    assert error < 1e-4
    baselines = {
        "torch float32, whole activations": lambda: whole_activations(u, w, same, cross, head),
        "general path": lambda: rsvc.replacement_test(u, w, same, cross, nn.Sequential(head)),
    }
    times, others = race(benchmark, lambda: rsvc.replacement_test(u, w, same, cross, head), baselines, rounds)
    own = spread(times)
    for name, their_times in others.items():
        baseline = float(np.percentile(their_times, 20))
        recorder.add(
            op="replacement test, linear head",
            shape=f"n={n} d={d} k={K} c={c}",
            dtype="float32",
            backend="torch",
            **own,
            rate=2 * n * c * K / own["p20_s"] / 1e9,
            unit="G softmax entries/s",
            baseline=name,
            baseline_p20_s=baseline,
            ratio=baseline / own["p20_s"],
            error=json.dumps({"largest": float(f"{error:.2g}")}),
        )


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
