"""The page of an RSVC comparison: the folder it lies in and what it says; without a browser."""

import base64
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rsvc_results import MISSING, NAMES, activations, comparison, pictures

from diptych import report, rsvc

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def result() -> rsvc.RSVCResult:
    return comparison()


@pytest.fixture(scope="module")
def source(result: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with everything on it, as text."""
    path = tmp_path_factory.mktemp("rsvc") / "report"
    acts = activations(1)[:2]
    report.write(result, path, patches=pictures(), activations=acts, progress=False)
    return (path / "index.html").read_text("utf-8")


def read(page: str) -> str:
    """The page as a reader's eye has it: no scripts, no styles, no tags, single spaces."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def written(result: Any, path: Path, **options: Any) -> str:
    folder = report.write_rsvc(result, path, progress=False, **options)
    return (folder / "index.html").read_text("utf-8")


def shown_concepts(result: Any) -> dict[str, list[int]]:
    """What the rule chooses, from the result's own frame."""
    found = {}
    for side, name in zip("ab", result.names, strict=True):
        frame = result.to_frame()
        frame = frame[frame["network"] == name]
        kl = None if frame.delta_kl.isna().all() else frame.delta_kl.to_numpy()
        found[side] = rsvc.chosen_concepts((frame.cmcs - frame.smcs).to_numpy(), kl).tolist()
    return found


def cards(page: str) -> list[str]:
    return re.findall(r'<article class="concept . *" id="([^"]+)"', page)


def test_the_folder_holds_page_numbers_and_pictures(result: Any, tmp_path: Path) -> None:
    folder = report.write(result, tmp_path / "deep" / "report", progress=False)
    assert folder == tmp_path / "deep" / "report"
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "concepts.csv",
        "index.html",
        "mcs_vs_lasso.png",
        "result.npz",
        "similarity_importance.png",
    ]
    again = rsvc.RSVCResult.load(folder / "result.npz")
    np.testing.assert_array_equal(again.cmcs_1to2, result.cmcs_1to2)
    frame = pandas.read_csv(folder / "concepts.csv")
    pandas.testing.assert_frame_equal(frame, result.to_frame(), check_dtype=False)
    for picture in folder.glob("*.png"):
        with Image.open(picture) as image:
            assert np.asarray(image.convert("L")).std() > 0


def test_the_page_says_what_was_found(result: Any, source: str) -> None:
    text = read(source)
    first, second = NAMES
    for values in (result.cmcs_2to1, result.cmcs_1to2):
        assert f"{np.mean(values):.3f}" in text
    # The planted concept is the one that each network has and the other has not.
    for cross, same in ((result.cmcs_2to1, result.smcs_1), (result.cmcs_1to2, result.smcs_2)):
        assert np.count_nonzero(same - cross >= 0.3) == 1
    assert f"{first} has one concept that {second} lacks." in text
    assert f"Only in {second} concepts that {first} lacks: SMCS − CMCS of at least 0.3 1 of 3" in text
    assert "of 12 images; evaluation patches 48" in text
    assert "diptych.rsvc.compare( acts_1, acts_2, k=3" in text
    assert "target=(2, 2)" in text


def test_the_concepts_of_the_rule_are_shown_lowest_first(result: Any, source: str) -> None:
    chosen = shown_concepts(result)
    assert chosen["a"]
    assert chosen["b"]
    ids = cards(source)
    assert sorted(ids) == sorted(f"{side}-0-{n}" for side, numbers in chosen.items() for n in numbers)
    falls = {"a": result.cmcs_2to1 - result.smcs_1, "b": result.cmcs_1to2 - result.smcs_2}
    order = [falls[one[0]][int(one.rsplit("-", 1)[1])] for one in ids]
    assert order == sorted(order)
    for one in ids:
        assert f'href="#{one}"' in source


def test_collages_hold_the_patches_of_the_rule(result: Any, source: str) -> None:
    images = pictures()
    for one in cards(source):
        side, number = one[0], int(one.rsplit("-", 1)[1])
        own, cross = ("1", "2to1") if side == "a" else ("2", "1to2")
        real = getattr(result, f"coefficients_{own}")[:, number]
        predicted = getattr(result, f"predicted_{cross}")[:, number]
        expected = rsvc.collages(real, predicted, result.groups)
        start = source.index(f'id="{one}"')
        figures = re.findall(r'(?s)<figure class="collage">(.*?)</figcaption>', source[start:])[:3]
        for figure, patches in zip(figures, expected, strict=True):
            tiles = re.findall(r'src="data:image/png;base64,([^"]+)" alt="patch (\d+), image (\d+): ', figure)
            assert [int(patch) for _, patch, _ in tiles] == patches.tolist()
            assert [int(image) for _, _, image in tiles] == result.groups[patches].tolist()
            for uri, patch, _ in tiles:
                drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))))
                np.testing.assert_array_equal(drawn, images[int(patch)])


def test_scatters_hold_every_patch_on_one_scale(result: Any, source: str) -> None:
    one = cards(source)[0]
    number = int(one.rsplit("-", 1)[1])
    own, cross = ("1", "2to1") if one[0] == "a" else ("2", "1to2")
    real = getattr(result, f"coefficients_{own}")[:, number]
    guesses = [getattr(result, f"predicted_{name}")[:, number] for name in (cross, own)]
    low = min(real.min(), *(guess.min() for guess in guesses), 0)
    span = max(real.max(), *(guess.max() for guess in guesses)) - low
    start = source.index(f'id="{one}"')
    drawn = re.findall(r'<path class="dots" d="([^"]+)"', source[start:])[:2]
    for path, guess in zip(drawn, guesses, strict=True):
        points = np.array([[float(x) for x in place] for place in re.findall(r"M(\S+) (\S+)h0", path)])
        expected = 200 * np.column_stack([(real - low) / span, 1 - (guess - low) / span])
        np.testing.assert_allclose(points, expected, atol=0.051)  # rounded to tenths
    correlation = np.corrcoef(real, guesses[0])[0, 1]
    assert f"r = {correlation:.2f}" in source[start:]


def test_neurons_are_those_that_contribute_most(result: Any, source: str) -> None:
    acts = activations(1)
    own = np.concatenate([result.coefficients_1, result.coefficients_2], 1)
    contribution = rsvc.neuron_contribution(result.regression_1, acts[0], own)
    one = next(one for one in cards(source) if one.startswith("a"))
    start = source.index(f'id="{one}"')
    shown = re.findall(r"<strong>(\d+)</strong> <span class=\"quiet\">−(\d\.\d+)", source[start:])
    strongest = contribution.strongest(int(one.rsplit("-", 1)[1]), 4)
    assert [int(neuron) for neuron, _ in shown[: len(strongest)]] == strongest.tolist()
    falls = contribution.fall[strongest, int(one.rsplit("-", 1)[1])]
    assert [fall for _, fall in shown[: len(strongest)]] == [f"{fall:.3f}" for fall in falls]
    assert "The neurons it is told from" not in read(source).split("Every concept in numbers")[1]


def test_only_patches_that_are_shown_are_asked_for(result: Any, tmp_path: Path) -> None:
    asked: list[int] = []

    def patch(index: int) -> Any:
        asked.append(index)
        return pictures()[index]

    page = written(result, tmp_path / "r", patches=patch)
    tiles = [int(patch) for patch in re.findall(r'alt="patch (\d+)', page)]
    assert asked == tiles
    assert 0 < len(set(asked)) < 48


def test_without_pictures_patches_have_numbers(result: Any, tmp_path: Path) -> None:
    page = written(result, tmp_path / "r")
    assert '<figure class="tile"' in page
    assert 'alt="patch' not in page
    assert re.search(r'<span class="name">\d+</span>', page)


def test_without_heads_the_lowest_are_shown_and_importance_is_absent(tmp_path: Path) -> None:
    page = written(comparison(heads=False), tmp_path / "r")
    assert len(cards(page)) == 6
    text = read(page)
    assert "No head was given" in text
    assert "Importance" not in text
    assert "Δ KL" not in text
    assert not (tmp_path / "r" / "similarity_importance.png").exists()
    assert (tmp_path / "r" / "mcs_vs_lasso.png").exists()


def test_a_network_and_its_copy_have_nothing_to_show(tmp_path: Path) -> None:
    text = read(written(comparison(same=True), tmp_path / "r"))
    assert "Neither has a concept that the other lacks." in text
    assert "None stands out" in text


def test_a_single_concept_makes_a_page(tmp_path: Path) -> None:
    page = written(comparison(k=1), tmp_path / "r", patches=pictures())
    assert len(cards(page)) <= 2
    text = read(page)
    assert "first net 1 concept " in text
    assert "1 concepts" not in text


def dead(result: Any, which: list[int]) -> Any:
    """The same result with dead concepts in network 1."""
    real = result.coefficients_1.copy()
    real[:, which] = 0
    changes: dict[str, Any] = {"coefficients_1": real}
    for field in ("cmcs_2to1", "smcs_1", "mcs_1"):
        for ending in ("", "_spearman") if field != "mcs_1" else ("",):
            values = getattr(result, field + ending).copy()
            values[which] = np.nan
            changes[field + ending] = values
    columns = {key: values.copy() for key, values in result.replacement_1.items()}
    columns["delta_pearson"][which] = np.nan
    return replace(result, **changes, replacement_1=columns, notes=["An image could not be read."])


def test_dead_concepts_are_told_and_never_shown(result: Any, tmp_path: Path) -> None:
    page = written(dead(result, [MISSING]), tmp_path / "r", patches=pictures())
    assert f"a-0-{MISSING}" not in cards(page)
    text = read(page)
    assert "1 of 3 concepts of first net are dead" in text
    assert "An image could not be read." in text
    assert "1 – – –" in text.split("Every concept in numbers")[1]
    assert "NaN" not in page.split("<script")[0]


def test_all_concepts_dead_is_said_in_words(result: Any, tmp_path: Path) -> None:
    page = written(dead(result, [0, 1, 2]), tmp_path / "r")
    assert "All concepts of first net are dead" in read(page)
    assert [one[0] for one in cards(page)] == ["b"] * len(cards(page))
    # Without a living concept of network 1 those of network 2 have no best match either.
    lonely = replace(dead(result, [0, 1, 2]), mcs_2=np.full(3, np.nan))
    page = written(lonely, tmp_path / "lonely")
    assert "What the regression adds" not in read(page)
    assert not (tmp_path / "lonely" / "mcs_vs_lasso.png").exists()


@pytest.fixture(scope="module")
def classes() -> dict[str, Any]:
    return {"cat": comparison(0), "dog & <b>": comparison(1)}


def test_many_classes_share_a_page(classes: dict[str, Any], tmp_path: Path) -> None:
    page = written(classes, tmp_path / "r", patches={name: pictures(i) for i, name in enumerate(classes)})
    assert not (tmp_path / "r" / "result.npz").exists()
    frame = pandas.read_csv(tmp_path / "r" / "concepts.csv")
    assert frame["class"].value_counts().to_dict() == {"cat": 6, "dog & <b>": 6}
    text = read(page)
    assert "Classes 96 patches of 24 images; evaluation patches 2" in text
    assert "diptych.rsvc.compare_classes( classes" in text
    assert "dog &amp; &lt;b&gt;, concept" in text
    # The rule is over all classes of a network together.
    both = [np.concatenate([r.cmcs_2to1 - r.smcs_1 for r in classes.values()])]
    both.append(np.concatenate([r.replacement_1["delta_kl"] for r in classes.values()]))
    expected = [f"a-{row // 3}-{row % 3}" for row in rsvc.chosen_concepts(*both)]
    assert sorted(one for one in cards(page) if one[0] == "a") == sorted(expected)


class Lazy(Mapping[str, Any]):
    """Results that are loaded when they are asked for, and how many are held."""

    def __init__(self, classes: dict[str, Any], folder: Path) -> None:
        self.paths = {}
        for number, (name, result) in enumerate(classes.items()):
            self.paths[name] = folder / f"{number}.npz"
            result.save(self.paths[name])
        self.loaded: dict[str, int] = dict.fromkeys(classes, 0)

    def __getitem__(self, name: str) -> Any:
        self.loaded[name] += 1
        return rsvc.RSVCResult.load(self.paths[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


def test_results_may_be_loaded_one_by_one(classes: dict[str, Any], tmp_path: Path) -> None:
    lazy = Lazy(classes, tmp_path)
    assert written(lazy, tmp_path / "lazy") == written(classes, tmp_path / "held")
    assert set(lazy.loaded.values()) == {2}


def test_a_class_of_which_nothing_is_shown_is_loaded_once(classes: dict[str, Any], tmp_path: Path) -> None:
    first, second = classes.values()
    lazy = Lazy({"a": first, "b": second, "c": first, "d": second}, tmp_path)
    shown = {int(card.split("-")[1]) for card in cards(written(lazy, tmp_path / "r", shown=1))}
    assert 1 <= len(shown) <= 2
    assert list(lazy.loaded.values()) == [2 if number in shown else 1 for number in range(4)]


def test_fewer_concepts_can_be_shown(classes: dict[str, Any], tmp_path: Path) -> None:
    assert len(cards(written(classes, tmp_path / "r", shown=1))) == 2


def test_more_figures_stand_on_the_page(result: Any, tmp_path: Path) -> None:
    figure = Figure(figsize=(1, 1))
    page = written(result, tmp_path / "r", figures={"Layers <i>": figure})
    assert '<h2>Layers &lt;i&gt;</h2><figure class="sheet-figure"><img src="data:image/png;base64,' in page


def test_everything_is_escaped_and_nothing_is_fetched(result: Any, tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script>{{ 7 * 7 }}'
    named = replace(result, names=(hostile, "b"), notes=[hostile])
    # A lone surrogate is an undecodable byte in the name of a folder.
    page = written({hostile + "\ud800": named}, tmp_path / "r", title=hostile, command=hostile)
    assert "{{ 7 * 7 }}?" in page
    assert pandas.read_csv(tmp_path / "r" / "concepts.csv")["class"].unique().tolist() == [
        hostile + "\\ud800"
    ]
    assert "<script>alert" not in page
    assert len(re.findall(r"<script", page)) == 2  # the data, the page's own
    assert "'unsafe-eval'" not in page
    outside = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page)
    assert outside == []
    assert not re.findall(r"url\(|@import|https?://", page)


def test_writing_twice_gives_the_same_page(result: Any, tmp_path: Path) -> None:
    pages = [written(result, tmp_path / name, patches=pictures()) for name in "ab"]
    assert pages[0] == pages[1]


def test_an_earlier_report_is_replaced_other_folders_are_not(result: Any, tmp_path: Path) -> None:
    written(result, tmp_path / "r", title="first")
    with pytest.raises(FileExistsError, match="r exists"):
        written(result, tmp_path / "r")
    assert "second" in written(result, tmp_path / "r", title="second", overwrite=True)
    (tmp_path / "r" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match=r"thesis\.tex"):
        written(result, tmp_path / "r", overwrite=True)


def no_regressions() -> Any:
    return replace(comparison(), regression_1=None)


@pytest.mark.parametrize(
    ("call", "error", "found"),
    [
        (lambda p: report.write({"a": 1}, p), TypeError, "result: expected one of RDXResult, RSVCResult"),
        (lambda p: report.write_rsvc([1], p), TypeError, "results: .*found list"),
        (lambda p: report.write_rsvc({}, p), ValueError, "results: expected at least one class"),
        (lambda p: report.write_rsvc({"a": 1}, p), TypeError, "expected RSVCResult of class 'a', found int"),
        (
            lambda p: report.write_rsvc({"a": comparison(), "b": replace(comparison(), names=("x", "y"))}, p),
            ValueError,
            "results: expected one pair of networks, .*class 'b'",
        ),
        (
            lambda p: report.write(comparison(), p, patches=pictures()[:7]),
            ValueError,
            "patches: expected 48 pictures, one per patch, found 7",
        ),
        (
            lambda p: report.write(comparison(), p, patches=lambda i: np.zeros(3)),
            ValueError,
            r"patches, patch \d+: found a picture of shape \(3,\)",
        ),
        (
            lambda p: report.write_rsvc({"a": comparison()}, p, patches=pictures()),
            TypeError,
            "patches: expected a mapping by class, found ndarray",
        ),
        (
            lambda p: report.write_rsvc({"a": comparison()}, p, patches={"b": pictures()}),
            ValueError,
            "patches: found none for 1 classes, 'a' among them",
        ),
        (
            lambda p: report.write_rsvc({"a": comparison()}, p, patches={"a": pictures()[:3]}),
            ValueError,
            "patches: expected 48 pictures of class 'a'",
        ),
        (
            lambda p: report.write(no_regressions(), p, activations=activations(1)[:2]),
            ValueError,
            "activations: expected a result with its regressions",
        ),
        (
            lambda p: report.write(comparison(), p, activations=(np.ones((3, 12)),) * 2),
            ValueError,
            r"activations: coefficients: expected shape \(3, 6\)",
        ),
        (lambda p: report.write(comparison(), p, shown=0), ValueError, "shown: expected 1"),
    ],
)
def test_bad_input_is_named_and_writes_nothing(
    call: Any, error: type[Exception], found: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=found):
        call(tmp_path / "r")
    assert list(tmp_path.iterdir()) == []
