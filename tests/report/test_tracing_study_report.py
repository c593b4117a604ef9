import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tracing_rows import MODELS, study

from diptych import report
from diptych.tracing.results import ORACLE


def test_a_page_of_a_study(tmp_path: Path) -> None:
    made = study({**MODELS, "cls_pred_y, accuracy": 0.51}, ("gradient", "<b>kind</b>"))
    folder = report.write(made, tmp_path / "page", command="diptych tracing reproduce", progress=False)
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        "claims.csv",
        "summary.csv",
        "classes.csv",
        "study_models.png",
        "study_inputs.png",
    }
    page = (folder / "index.html").read_text()
    assert "<b>kind" not in page
    assert "&lt;b&gt;kind&lt;/b&gt; learners" in page
    assert "Gradient learners are foretold best by fast_weight" in page
    mean = made.frame().micro_ap.max()
    assert f"{mean:.3f} ± " in page
    assert "62 % ± 0 %" in page
    with open(folder / "claims.csv", newline="") as file:
        claimed = [row["claim"] for row in csv.DictReader(file)]
    assert len(claimed) == 10
    assert all(each.replace("'", "&#39;") in page for each in claimed)
    report.write(made, folder, overwrite=True, progress=False)


def test_a_study_of_people_has_neither_claims_nor_gaps(tmp_path: Path) -> None:
    people = {name: ap for name, ap in MODELS.items() if name != ORACLE}
    folder = report.write(study(people, ("answers",)), tmp_path / "page", progress=False)
    page = (folder / "index.html").read_text()
    assert "No claim was put to the test" in page
    assert "Share of the gap" not in page
    assert not (folder / "claims.csv").exists()


def test_learners_without_tests_stand_beside_others(tmp_path: Path) -> None:
    made = study({"dkt": 0.4, "saint": 0.5}, ("people", "others"))
    without = [row for row in made.rows if (row.learners, row.phase) != ("others", "test")]
    folder = report.write(replace(made, rows=tuple(without)), tmp_path / "page", progress=False)
    page = (folder / "index.html").read_text()
    assert "People learners are foretold best by saint: micro average precision 0.60" in page
    assert re.search(r"Others learners are foretold best by saint: .* in training\.", page)
    # Nobody trained the static model, so nothing is above it.
    assert "nan" not in re.sub(r'src="[^"]*"', "", page).casefold()


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="study: expected a TracingStudy, found str"):
        report.write_tracing_study("study", tmp_path / "page")  # type: ignore[arg-type]
