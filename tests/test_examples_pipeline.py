"""The examples of a scikit-learn pipeline and of cupy run, and do what they say."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sklearn_pipeline", EXAMPLES / "sklearn_pipeline.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pipeline_reads_digits(example: ModuleType) -> None:
    X, y = load_digits(return_X_y=True)
    scores = cross_val_score(example.pipeline(100), X[:600], y[:600], cv=3)
    assert scores.mean() > 0.85  # chance is 0.1


def test_affinities_are_their_definition(example: ModuleType) -> None:
    X, _ = load_digits(return_X_y=True)
    fitted = example.LandmarkAffinity(7).fit(X[:50])
    assert fitted.landmarks_.shape == (7, 64)
    squares = ((X[50:60, None] - fitted.landmarks_) ** 2).sum(2)
    np.testing.assert_allclose(fitted.transform(X[50:60]), np.exp(-squares / fitted.scale_), rtol=1e-9)
    with pytest.raises(NotFittedError):
        example.LandmarkAffinity().transform(X)


def run(name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_pipeline_example_runs() -> None:
    done = run("sklearn_pipeline.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accuracy") == 3


def test_the_cupy_example_says_what_is_missing() -> None:
    done = run("cupy_drop_in.py")
    assert done.returncode == 0, done.stderr
    assert "nothing to show" in done.stdout
