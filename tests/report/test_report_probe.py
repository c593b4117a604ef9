"""Linear probes against scikit-learn's own cross-validation, intervals against SciPy's."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diptych.report import probe
from diptych.report.probe import Probes, Share, linear_probes
from diptych.report.tables import label_counts, probes


def run(embeddings: Any, labels: list[Any], **options: Any) -> Probes:
    outcome = linear_probes(embeddings, [str(label) for label in labels], **options)
    assert isinstance(outcome, Probes)
    return outcome


def test_predictions_are_those_of_cross_val_predict(digits: Any) -> None:
    upper, lower = digits.result.embeddings
    probed = run((upper, lower), digits.labels)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for side, x in enumerate((upper, lower)):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        expected = cross_val_predict(model, x, np.array(digits.labels), cv=folds)
        np.testing.assert_array_equal(probed.predictions[side], expected)
        hits = int((expected == digits.labels).sum())
        assert (probed.accuracy(side).hits, probed.accuracy(side).total) == (hits, len(expected))
    assert probed.folds == 5
    assert probed.notes == []


def test_agreement_counts_equal_predictions(digits: Any) -> None:
    probed = run(digits.result.embeddings, digits.labels)
    same = probed.predictions[0] == probed.predictions[1]
    assert probed.agreement().hits == same.sum()
    grid = digits.result.a.grids[0]
    assert probed.agreement(grid).hits == same[grid].sum()
    members = probed.members(3)
    assert [digits.labels[item] for item in members] == [3] * len(members)
    assert probed.agreement(members).total == len(members)


def test_equal_representations_always_agree(digits: Any) -> None:
    upper, _ = digits.result.embeddings
    assert run((upper, upper.copy()), digits.labels).agreement().value == 1.0


@pytest.mark.parametrize(("hits", "total"), [(0, 9), (9, 9), (1, 3), (4878, 5000)])
def test_interval_is_wilsons(hits: int, total: int) -> None:
    expected = binomtest(hits, total).proportion_ci(0.95, method="wilson")
    # Both evaluate one closed form in float64; only rounding differs.
    assert Share(hits, total).interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_share_of_nothing_is_nan() -> None:
    assert np.isnan([Share(0, 0).value, *Share(0, 0).interval]).all()


def test_small_classes_lower_the_folds_and_single_items_are_left_out(digits: Any) -> None:
    labels: list[Any] = list(digits.labels)
    for item in range(len(labels)):
        labels[item] = "even" if labels[item] % 2 == 0 else "odd"
    labels[0], labels[1], labels[2], labels[3] = "alone", "rare", "rare", "rare"
    probed = run(digits.result.embeddings, labels)
    assert probed.folds == 3
    assert probed.predictions[0][0] == -1
    assert probed.accuracy(0).total == len(labels) - 1
    assert probed.notes == ["Labels with a single item are left out of the probes: alone."]


def test_labels_without_two_classes_are_refused_in_words(digits: Any) -> None:
    n = digits.result.n
    for labels in (["same"] * n, [str(item) for item in range(n)]):
        outcome = linear_probes(digits.result.embeddings, labels)
        assert isinstance(outcome, str)
        assert "no linear probe" in outcome


def test_too_many_classes_are_refused_in_words() -> None:
    labels = [str(item // 2) for item in range(2 * probe.MAX_CLASSES + 2)]
    x = np.zeros((len(labels), 2))
    assert "at most 200 labels" in str(linear_probes((x, x), labels))


def test_training_parts_are_thinned_but_every_item_is_predicted(
    digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "TRAIN_ITEMS", 100)
    thinned = run(digits.result.embeddings, digits.labels)
    assert thinned.accuracy(0).total == digits.result.n
    monkeypatch.undo()
    full = run(digits.result.embeddings, digits.labels)
    assert (thinned.predictions[0] != full.predictions[0]).any()


def test_unconverged_probes_are_told(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_ITERATIONS", 2)
    probed = run(digits.result.embeddings, digits.labels)
    assert probed.notes == ["A probe had not converged after 2 iterations."]


def test_progress_adds_up_to_one(digits: Any) -> None:
    shares: list[float] = []
    run(digits.result.embeddings, digits.labels, advance=shares.append)
    assert sum(shares) == pytest.approx(1.0)


def test_label_counts_are_counts(digits: Any) -> None:
    labels = [str(label) for label in digits.labels]
    table = label_counts(digits.result, labels)
    assert table is not None
    grids = [grid for _, _, side in digits.result.directions for grid in side.grids]
    for row, grid in zip(table["rows"], grids, strict=True):
        counted = dict(zip(table["columns"], row["cells"], strict=True))
        for label in table["columns"]:
            assert counted[label] == sum(labels[item] == label for item in grid)
        assert row["others"] == 0
    assert table["columns"] == sorted(table["columns"], key=int)


def test_rare_labels_share_a_column(digits: Any) -> None:
    unique = [f"label {item}" for item in range(digits.result.n)]
    table = label_counts(digits.result, unique)
    assert table is not None
    assert len(table["columns"]) == 14
    assert table["others"]
    for row in table["rows"]:
        assert sum(row["cells"]) + row["others"] == row["total"]


def test_tables_need_labels(digits: Any, identical: Any) -> None:
    assert label_counts(digits.result, None) is None
    assert label_counts(identical, ["x"] * 20) is None
    assert probes(digits.result, None) is None
    assert probes(digits.result, "no probe, because") is None
