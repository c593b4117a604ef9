"""Non-negative factorisation of one class' activations, and of eight, beside scikit-learn.

Counted for n = 3200 patches, k = 10 concepts, per iteration: products X Wᵀ and U X, 4 n d k = 66 MFLOP at
d = 512, 262 MFLOP at d = 2048; X is read by rows and, transposed, by columns, 13 and 52 MB in float32; sweeps
of coordinate descent 4 k² (n + d) = 1.5 and 2 MFLOP on what is in the caches. The rate is of the bytes of X
that the iterations read, over the whole time (start by a randomised singular value decomposition, transposed
copy and final exact coefficients included); its limit the copy bandwidth.

The data are rectified mixtures of 64 factors, 16 patches of an image sharing most of theirs. Baselines:
sklearn.decomposition.NMF, solver="cd" (its fastest), at its own tolerance of 1e-4 and at most 200 iterations;
for signed data this library's SemiNMF, the multiplicative updates of the paper, which were the only way here.
Errors are relative Frobenius errors, ours and the baseline's.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_nmf.py
"""

import json
import warnings

import numpy as np
import pytest
import torch
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from conftest import race, spread
from diptych import rsvc
from diptych.estimators import SemiNMF, factorize_many

N, K = 3200, 10


def activations(n, d, seed=0):
    rng = np.random.default_rng(seed)
    factors = 0.7 * rng.standard_normal((n // 16, 64)).repeat(16, 0) + rng.standard_normal((n, 64))
    return np.maximum(factors @ rng.standard_normal((64, d)) / 8 - 0.5, 0).astype(np.float32)


def scikit_learn(x, init):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return NMF(K, init=init, solver="cd", random_state=0).fit(x).reconstruction_err_


def record(recorder, limits, op, shape, times, found, read, errors):
    own = spread(times)
    for name, theirs in found.items():
        baseline = float(np.percentile(theirs, 20))
        rate = read / own["p20_s"]
        recorder.add(
            op=op,
            shape=shape,
            dtype="float32",
            backend="cpu",
            **own,
            rate=rate / 1e9,
            unit="GB/s of X",
            share_of_limit=rate / limits["copy"],
            baseline=name,
            baseline_p20_s=baseline,
            ratio=baseline / own["p20_s"],
            error=json.dumps({"ours": round(errors["ours"], 5), "baseline": round(errors[name], 5)}),
        )
        assert baseline > own["p20_s"], name


@pytest.mark.parametrize(("d", "rounds"), [(512, 3), (2048, 2)])
def test_one_class(benchmark, recorder, limits, d, rounds):
    x = activations(N, d)
    size = float(np.linalg.norm(x))
    fitted = factorize_many([torch.from_numpy(x / x.max())], K, signed=False)[0]
    read = 2 * (len(fitted.losses) - 1) * x.nbytes
    errors = {"ours": rsvc.extract(x, K).error}
    for init in ("nndsvda", "random"):
        errors[f"scikit-learn, {init}"] = float(scikit_learn(x, init)) / size
    assert errors["ours"] <= 1.01 * min(errors.values())
    baselines = {
        f"scikit-learn, {init}": lambda init=init: scikit_learn(x, init) for init in ("nndsvda", "random")
    }
    times, found = race(benchmark, lambda: rsvc.extract(x, K), baselines, rounds)
    record(recorder, limits, "nmf of one class", f"n={N} d={d} k={K}", times, found, read, errors)


def test_eight_classes(benchmark, recorder, limits):
    d, classes = 512, [activations(N, 512, seed) for seed in range(8)]
    fitted = factorize_many([torch.from_numpy(x / x.max()) for x in classes], K, signed=False)
    read = sum(2 * (len(each.losses) - 1) for each in fitted) * classes[0].nbytes
    ours = [each.error for each in rsvc.extract_many(classes, K)]
    theirs = [float(scikit_learn(x, "nndsvda") / np.linalg.norm(x)) for x in classes]
    assert max(mine - 1.01 * other for mine, other in zip(ours, theirs, strict=True)) <= 0
    name = "scikit-learn in a loop, nndsvda"
    errors = {"ours": float(np.mean(ours)), name: float(np.mean(theirs))}
    baselines = {name: lambda: [scikit_learn(x, "nndsvda") for x in classes]}
    times, found = race(benchmark, lambda: rsvc.extract_many(classes, K), baselines, 2)
    record(recorder, limits, "nmf of eight classes", f"8 x n={N} d={d} k={K}", times, found, read, errors)


def test_signed(benchmark, recorder, limits):
    d, x = 512, activations(N, 512)
    x = x - x.mean(0)
    size = float(np.linalg.norm(x))

    def updates():
        return SemiNMF(K, random_state=0, progress=False).fit(x).reconstruction_err_

    name = "SemiNMF, multiplicative updates"
    errors = {"ours": rsvc.extract(x, K).error, name: float(updates()) / size}
    # Local minima from different clusters.
    assert errors["ours"] <= 1.01 * errors[name]
    fitted = factorize_many([torch.from_numpy(x / np.abs(x).max())], K, signed=True)[0]
    read = 2 * (len(fitted.losses) - 1) * x.nbytes
    times, found = race(benchmark, lambda: rsvc.extract(x, K), {name: updates}, 2)
    record(recorder, limits, "semi-nmf of one class", f"n={N} d={d} k={K}", times, found, read, errors)


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
