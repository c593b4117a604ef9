"""Many classes, one result after the other."""

import itertools
import warnings

import numpy as np
import pandas
import pytest
from planted_concepts import two_networks

from diptych import rsvc

pytestmark = pytest.mark.usefixtures("one_thread")

K = 3


def patches(seed: int) -> rsvc.ClassPatches:
    first, second, _, groups = two_networks(images=12, seed=seed)
    return rsvc.ClassPatches(first, second, groups, target=seed % 2)


@pytest.fixture(scope="module")
def head():
    return np.random.default_rng(0).standard_normal((2, 30)), None


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_each_class_is_what_it_is_alone(batch: int, head) -> None:
    classes = {f"class {seed}": patches(seed) for seed in range(3)}
    found = dict(rsvc.compare_classes(classes, k=K, head_1=head, batch=batch, progress=False))
    assert list(found) == list(classes)
    for name, each in classes.items():
        alone = rsvc.compare(
            each.acts_1,
            each.acts_2,
            k=K,
            groups=each.groups,
            head_1=head,
            target=each.target,
            progress=False,
        )
        # Batches pad matrices with zeros, and products of another size round differently; the factorisation
        # ends when its error falls by 1e-5 of itself.
        pandas.testing.assert_frame_equal(
            found[name].to_frame().drop(columns=["cross_nonzero", "same_nonzero"]),
            alone.to_frame().drop(columns=["cross_nonzero", "same_nonzero"]),
            rtol=0.01,
            atol=0.01,
        )
        assert found[name].parameters == alone.parameters
        assert set(found[name].seconds) == {"extract", "regress", "evaluate", "replace"}


def test_classes_are_loaded_when_their_turn_comes() -> None:
    loaded = []

    def loader(seed: int):
        def load() -> rsvc.ClassPatches:
            loaded.append(seed)
            return patches(seed)

        return load

    results = rsvc.compare_classes({seed: loader(seed) for seed in range(5)}, k=K, batch=2, progress=False)
    assert loaded == []
    names = []
    for name, _ in itertools.islice(results, 3):
        names.append(name)
        assert len(loaded) == min(5, 2 * (name // 2 + 1))
    assert names == [0, 1, 2]
    results.close()


def test_what_is_wrong_names_the_class() -> None:
    few = rsvc.ClassPatches(*two_networks(images=3)[:2], two_networks(images=3)[3])
    classes = {"ok": patches(0), "few": few}
    results = rsvc.compare_classes(classes, k=K, batch=1, progress=False)
    assert next(results)[0] == "ok"
    with pytest.raises(ValueError, match="class 'few': groups: 5 folds need patches of at least 5 images"):
        next(results)


def test_a_class_that_one_network_never_predicts_can_be_left_out(head) -> None:
    first, second, _, groups = two_networks(images=12)
    nobody = rsvc.ClassPatches(first, second, groups, rows_2=np.zeros(len(groups), bool), target=0)
    late = rsvc.ClassPatches(first, second, groups, target=7)
    classes = {"a": patches(0), "nobody": nobody, "late": late, "b": patches(1)}
    results = rsvc.compare_classes(classes, k=K, head_1=head, errors="skip", progress=False)
    with pytest.warns(RuntimeWarning) as told:
        assert [name for name, _ in results] == ["a", "b"]
    messages = [str(warning.message) for warning in told if warning.category is RuntimeWarning]
    assert messages == [
        "class 'nobody' is left out: rows_2: network 2 has no patch to extract concepts from",
        "class 'late' is left out: target: expected 0 to 1, found 7",
    ]


def test_nothing_but_classes_to_leave_out() -> None:
    empty = rsvc.ClassPatches(np.empty((0, 3)), np.empty((0, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert list(rsvc.compare_classes({"x": empty}, errors="skip", progress=False)) == []
    assert list(rsvc.compare_classes({}, progress=False)) == []


def test_progress_counts_classes(impatient, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    list(rsvc.compare_classes({0: patches(0), 1: patches(1)}, k=2))
    shown = capsys.readouterr().err
    assert "Comparing classes" in shown
    assert "ETA" in shown


def test_refusals_come_at_once() -> None:
    cases = [
        ({"classes": [patches(0)]}, TypeError, "classes: expected a mapping of names to patches, found list"),
        ({"batch": 0}, ValueError, "batch: expected 1 to"),
        ({"errors": "ignore"}, ValueError, "errors: expected one of 'raise', 'skip'"),
        ({"k": 0}, ValueError, "k: expected 1 to"),
        ({"alpha": -1}, ValueError, "alpha: expected a number above 0"),
        ({"folds": 1}, ValueError, "folds: expected 2 to"),
        ({"method": "pca"}, ValueError, "method: expected one of"),
    ]
    for changes, kind, message in cases:
        with pytest.raises(kind, match=message):
            rsvc.compare_classes(**{"classes": {0: patches(0)}} | changes)
