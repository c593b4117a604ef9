"""The page of a number line, and of a study: the folder, and what it says; without a browser."""

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from number_lines import planted
from PIL import Image

from diptych import numerosity, report
from diptych.numerosity.order import IslandOrder
from diptych.report import numerosity_map, numerosity_words

pytestmark = pytest.mark.usefixtures("one_thread")

FEW = {"counts": (*range(6), 9), "each": 8, "min_cluster_size": 5}
HOSTILE = '"><script>alert(1)</script>{{ 7 * 7 }}$x$'


@pytest.fixture(scope="module")
def line() -> Any:
    return planted(**FEW)


@pytest.fixture(scope="module")
def bare() -> Any:
    """A number line of three counts and nothing besides, which makes a page with few figures."""
    return planted(counts=range(3), each=6, pairs=False, seen=False, min_cluster_size=5, name="bare")


@pytest.fixture(scope="module")
def folder(line: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it."""
    path = tmp_path_factory.mktemp("numerosity") / "deep" / "report"
    scenes = {"A": np.random.default_rng(0).random((3, 1, 12, 12))}
    return report.write(line, path, scenes=scenes, limit=3, progress=False)


@pytest.fixture(scope="module")
def source(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


def read(page: str) -> str:
    """The page as a reader's eye has it: no scripts, no styles, no tags, single spaces."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def written(line: Any, path: Path, **options: Any) -> str:
    return (report.write(line, path, progress=False, **options) / "index.html").read_text("utf-8")


def test_the_folder_holds_page_tables_and_pictures(line: Any, folder: Path) -> None:
    tables = ("counts", "figures", "islands", "actions", "relative", "sweep", "covariates", "distances")
    pictures = [f"main_7_{number}" for number in (3, 4, 5)]
    pictures += [f"appendix_7_{number}" for number in (1, 3, 4, 5, 6, 7, 8, 9, 14)]
    files = {f"{name}.csv" for name in tables} | {f"{name}.png" for name in pictures}
    assert {entry.name for entry in folder.iterdir()} == files | {"index.html", "result.npz"}
    for name in tables:
        frame = pandas.read_csv(folder / f"{name}.csv")
        pandas.testing.assert_frame_equal(frame, line.to_frame(name), check_dtype=False)
    again = numerosity.NumberLine.load(folder / "result.npz")
    np.testing.assert_array_equal(again.perceived, line.perceived)
    for name in pictures:
        with Image.open(folder / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 0


def test_the_page_says_what_was_found(line: Any, source: str) -> None:
    text = read(source)
    assert "The embedding has a number line" in text
    assert f"Spearman {line.spearman:.3f}, linear error {line.linear_error:.3f}" in text
    assert f"Subitizing limit islands and counts match up to it; −1 is never {line.subitizing_limit}" in text
    assert f"Nine objects are perceived as {line.absolute.mean[-1]:.1f}, on average." in text
    low, high = line.exponent_interval
    assert f"with the exponent {line.exponent:.2f} (95 % interval {low:.2f} to {high:.2f})" in text
    share, low, high = line.action_error.overall
    assert f"of 300, 95 % interval {100 * low:.1f} % to {100 * high:.1f} % {100 * share:.1f} %" in text
    assert "No item has 16 objects" in text
    assert "diptych.numerosity.analyze( embeddings, counts, pairs=pairs, actions=actions," in text
    assert "min_cluster_size=5" in text
    assert "2 features" not in text.split("The number line")[1][:200]


def test_tables_are_those_of_the_result(line: Any, source: str) -> None:
    table = source.split('id="confusion"')[1].split("</table>")[0]
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", table)
    assert [name for name, _ in rows] == [f"of {each}" for each in line.islands.majority] + ["none"]
    found = [[int(n or 0) for n in re.findall(r'class="share"[^>]*>(\d*)<', cells)] for _, cells in rows]
    np.testing.assert_array_equal(found, np.vstack([line.islands.confusion, line.islands.outside]))
    named = source.split('id="named"')[1].split("</table>")[0]
    found = [
        [int(n or 0) for n in re.findall(r'class="share"[^>]*>(\d*)<', row)]
        for row in named.split("<tbody>")[1].split("</tr>")[:3]
    ]
    np.testing.assert_array_equal(found, line.action_error.confusion)
    for name, value in zip(
        ("Mean intensity", "Summed area", "Area of the hull"), line.covariates.partial, strict=True
    ):
        assert f"{name} {value:.2f} " in read(source)


@pytest.mark.parametrize("d", [1, 2, 64])
def test_the_map_is_packed_finely_enough(d: int, line: Any) -> None:
    embeddings = np.random.default_rng(d).normal(size=(len(line.counts), d))
    data = numerosity_map.map_data(replace(line, embeddings=embeddings))
    assert data is not None
    steps = np.array([np.frombuffer(base64.b64decode(data["points"][axis]), "<u2") for axis in "xy"])
    points = np.array(data["points"]["low"]) + steps.T * np.array(data["points"]["step"])
    assert data["equal"] is (d > 1)
    if d == 2:
        # Half a step of 65,535 over the range.
        np.testing.assert_allclose(points, embeddings, atol=np.ptp(embeddings) / 65_535)
    assert ("PC 1" in data["axes"][0]) is (d == 64)
    few = numerosity_map.map_data(line, limit=10)
    assert few is not None
    assert few["shown"] == 10


def test_what_was_not_given_is_said_and_left_out(bare: Any, tmp_path: Path) -> None:
    page = written(bare, tmp_path / "r")
    text = read(page)
    assert "No pairs of scenes were given" in text
    assert "No covariates were given" in text
    assert 'id="actions"' not in page
    assert 'id="covariates"' not in page
    assert "Actions named wrongly" not in text
    assert "Weber fraction against" not in text
    assert "Place" not in text.split("Perceived number")[0]
    assert not (tmp_path / "r" / "actions.csv").exists()
    assert not (tmp_path / "r" / "main_7_3.png").exists()
    unsaved = written(replace(bare, embeddings=None, name=""), tmp_path / "unsaved")
    assert "The embeddings were not saved" in read(unsaved)
    assert 'id="map"' not in unsaved
    assert len(unsaved) < 1_000_000  # no Plotly
    assert "<h1>A number line</h1>" in unsaved


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spearman": 0.5}, "has no number line: its items are hardly in the order"),
        ({"spearman": float("nan")}, "has no number line"),
        ({"linear_error": 0.4}, "Perceived number follows true number, but the items do not lie on a line"),
        ({"linear_error": 0.1, "spearman": 0.95}, "The embedding has a number line"),
    ],
)
def test_the_outcome_is_told_by_the_figures(changes: Any, said: str, bare: Any) -> None:
    assert said in numerosity_words.finding(replace(bare, **changes))[0]


def islands_of(line: Any, n: int) -> Any:
    """The same number line with all items in one island, or in none."""
    counts = np.bincount(line.counts)[line.islands.counts]
    inside = counts[None] if n else np.empty((0, len(counts)), np.int64)
    labels = np.full(len(line.counts), n - 1)
    order = IslandOrder(np.empty(0, np.int64), np.full(n, np.nan), np.zeros((n, n), np.int64), float("nan"))
    outside = np.zeros_like(counts) if n else counts
    return replace(
        line, islands=replace(line.islands, labels=labels, confusion=inside, outside=outside, order=order)
    )


def test_one_island_and_none_make_a_page(bare: Any, tmp_path: Path) -> None:
    one = read(written(islands_of(bare, 1), tmp_path / "one"))
    assert "There is one island, and not even 0 has one of its own." in one
    none = read(written(islands_of(bare, 0), tmp_path / "none"))
    assert "There are no islands, and not even 0 has one of its own." in none
    assert "There are none: no 5 scenes lie closer together" in none


def test_everything_is_escaped_and_nothing_is_fetched(bare: Any, tmp_path: Path) -> None:
    named = replace(bare, name=HOSTILE + "\ud800", notes=(HOSTILE,), versions={HOSTILE: HOSTILE})
    page = written(named, tmp_path / "r", command=HOSTILE, scenes={HOSTILE: np.ones((1, 4, 4))})
    assert "{{ 7 * 7 }}$x$?" in page
    assert "<script>alert" not in page
    assert len(re.findall(r"<script[ >]", page.split("</main>")[1].split("plotly.js")[0])) == 2
    assert (
        re.findall(
            r'<[^>]*(?:src|href)="(?!data:|#)([^"]*)"', page.split('<script type="application/json"')[0]
        )
        == []
    )
    assert "default-src 'none'" in page


def test_writing_twice_gives_the_same_page(bare: Any, tmp_path: Path) -> None:
    pages = [written(bare, tmp_path / name) for name in "ab"]
    assert pages[0] == pages[1]


def test_an_earlier_report_is_replaced_other_folders_are_not(bare: Any, tmp_path: Path) -> None:
    light = replace(bare, embeddings=None)
    written(light, tmp_path / "r", title="first")
    with pytest.raises(FileExistsError, match="r exists"):
        written(light, tmp_path / "r")
    assert "second" in written(light, tmp_path / "r", title="second", overwrite=True)
    (tmp_path / "r" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match=r"thesis\.tex"):
        written(light, tmp_path / "r", overwrite=True)


def test_nothing_is_left_when_writing_fails(
    bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> bytes:
        raise OSError("No space left on device")

    monkeypatch.setattr("diptych.report.numerosity_write.render", full)
    with pytest.raises(OSError, match="No space left"):
        report.write_number_line(bare, tmp_path / "r", progress=False)
    monkeypatch.setattr("diptych.report.numerosity_study._render", full)
    with pytest.raises(OSError, match="No space left"):
        report.write_number_study(study_of({"a": bare}), tmp_path / "s", pages=[], progress=False)
    assert list(tmp_path.iterdir()) == []


def study_of(lines: dict[str, Any], claims: tuple[Any, ...] = (), stem: Any = "random") -> Any:
    return numerosity.Study(Path("study"), stem, lines, claims)


REACHED = numerosity.Claim("Spearman, 0-30", "A", ">= 0.97", 0.9912, float("nan"), 1, 1, True)
MISSED = numerosity.Claim("exponent", "B", "< 1", 1.234, 0.05, 30, 4, False)


@pytest.fixture(scope="module")
def study(bare: Any) -> Any:
    names = ("A-limit3-d2-seed0", "A-limit3-d2-seed1", HOSTILE)
    lines = {name: replace(bare, name=name, embeddings=None) for name in names}
    return study_of(lines, (REACHED, MISSED))


@pytest.fixture(scope="module")
def study_folder(study: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(study, tmp_path_factory.mktemp("study") / "report", progress=False)


def test_a_study_tells_what_is_reached_and_what_is_not(study: Any, study_folder: Path) -> None:
    page = (study_folder / "index.html").read_text("utf-8")
    text = read(page)
    assert "Three networks were trained on the stem “random”" in text
    assert "Of 2 claims of the thesis 1 is reached, and 1 is not." in text
    assert "Spearman, 0-30 A &gt;= 0.97 0.991 1 of 1 reached" in text
    assert "exponent B &lt; 1 1.23 ± 0.05 4 of 30 not reached" in text
    rows = pandas.read_csv(study_folder / "claims.csv")
    assert rows["claim"].tolist() == ["Spearman, 0-30", "exponent"]
    assert rows["holds"].tolist() == [True, False]
    runs = pandas.read_csv(study_folder / "runs.csv")
    assert runs["run"].tolist() == list(study.lines)
    assert runs["linear_error"].tolist() == [line.linear_error for line in study.lines.values()]
    assert "The runs of this study do not allow: Action error over number of objects;" in text
    assert "Reproducibility over seeds appendix_7_13" in text
    assert (study_folder / "appendix_7_13.png").is_file()
    assert not (study_folder / "main_7_3.png").exists()


def test_a_study_links_to_the_pages_of_its_main_runs(study: Any, study_folder: Path) -> None:
    page = (study_folder / "index.html").read_text("utf-8")
    assert "<script>alert" not in page
    links = re.findall(r'href="(?!data:|#)([^"]*)"', page)
    # The name of the third run is no name of a folder; the second is another seed of the first.
    assert links == ["runs/A-limit3-d2-seed0/index.html", "runs/run-2/index.html"]
    for link in links:
        assert "diptych" in (study_folder / link).read_text("utf-8")


def test_a_folder_called_runs_is_kept_where_it_is_not_of_reports(study: Any, tmp_path: Path) -> None:
    (name, line), *_ = study.lines.items()
    one = study_of({name: line})
    written(one, tmp_path / "r", pages=[name])
    written(one, tmp_path / "r", pages=[name], overwrite=True)
    for place in ("runs/mine.txt", f"runs/{name}/mine.txt"):
        (tmp_path / "r" / place).touch()
        with pytest.raises(FileExistsError, match=r"files that are not of a report \(runs/"):
            written(one, tmp_path / "r", overwrite=True)
        (tmp_path / "r" / place).unlink()
    (tmp_path / "logs" / "runs" / "events").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="runs/events"):
        written(one, tmp_path / "logs", overwrite=True)


def test_a_study_of_one_run_without_claims_is_replaced_by_another(study: Any, tmp_path: Path) -> None:
    (name, line), *_ = study.lines.items()
    page = written(study_of({name: line}, stem="mine"), tmp_path / "r", pages=[name])
    assert "One network was trained on the stem “mine”. No claim was put to the test." in read(page)
    assert not (tmp_path / "r" / "claims.csv").exists()
    again = study_of({name: line}, (REACHED,))
    assert "All claims of the thesis are reached." in read(
        written(again, tmp_path / "r", pages=[], overwrite=True, command="diptych numerosity reproduce")
    )
    assert not (tmp_path / "r" / "runs").exists()


@pytest.mark.parametrize(
    ("call", "error", "found"),
    [
        (lambda p, line: report.write({"a": 1}, p), TypeError, "expected one of .*NumberLine.*found dict"),
        (lambda p, line: report.write_number_line(1, p), TypeError, "line: expected a NumberLine, found int"),
        (lambda p, line: report.write(line, p, limit=0), ValueError, "limit: expected"),
        (lambda p, line: report.write(line, p, scenes=[1]), TypeError, "scenes: expected images by name"),
        (lambda p, line: report.write(line, p, scenes={"a": []}), ValueError, "scenes: expected images of"),
        (lambda p, line: report.write_number_study(1, p), TypeError, "study: expected a Study, found int"),
        (
            lambda p, line: report.write(study_of({}), p),
            ValueError,
            "lines: expected at least one number line",
        ),
        (
            lambda p, line: report.write(study_of({"a": 1}), p),
            TypeError,
            "lines: expected a NumberLine as 'a'",
        ),
        (
            lambda p, line: report.write(study_of({"a": line}), p, pages=["b"]),
            ValueError,
            "pages: expected names of runs, found 'b'",
        ),
    ],
)
def test_bad_input_is_named_and_writes_nothing(
    call: Any, error: type[Exception], found: str, bare: Any, tmp_path: Path
) -> None:
    with pytest.raises(error, match=found):
        call(tmp_path / "r", replace(bare, embeddings=None))
    assert list(tmp_path.iterdir()) == []
