"""docs/scaling.md has the figures of the results and of its model."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scaling.md").read_text()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("readme_table", "scaling_table"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import scaling_table

    return scaling_table


def test_the_figures_are_those_of_the_results(table) -> None:
    assert table.page(PAGE) == PAGE, "run: python benchmarks/scaling_table.py"


def test_the_model_counts_what_the_page_says(table) -> None:
    """At n = 10,000, d = 100, two processes: by hand."""
    job = table.Job(1e4, 100, 2)
    assert job.products() * table.PRODUCT_RATE == pytest.approx(4e10 / 2)
    assert job.exchange_bytes() == pytest.approx(1e8 / 4)
    assert job.affinity_bytes() == pytest.approx(1e8)
    assert job.pass_bytes() == pytest.approx(22 * 64 * 1e4 * 1.5)
    assert table.Job(1e4, 100, 1).affinity_bytes() == pytest.approx(1e8)
    assert job.sample_exchange_bytes() == pytest.approx(8 * 1280 * 1e4 / 4)
    assert table.Job(1e4, 100, 1).sample_bytes() == pytest.approx(16 * 1280 * 1e4)
    assert table.Job(2e5, 768, 8).exact() < table.Job(2e5, 768, 1).exact()


@pytest.mark.parametrize(("duration", "words"), [(3.21, "3.2 s"), (600, "10 min"), (7200, "2 h")])
def test_durations_are_told_in_their_unit(table, duration: float, words: str) -> None:
    assert table.told(duration) == words
