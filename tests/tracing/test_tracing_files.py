"""Files of answers: written and read alike, and refused with the row that is wrong."""

import json
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.tracing import data
from diptych.tracing.sequences import Sequences

CLASSES = ("moth", "bee", "ant")
# learner, step, phase, image, label, response
STEPS = [
    ("mia", 0, "train", "a1.png", "ant", "bee"),
    ("mia", 1, "train", "b1.png", "bee", "bee"),
    ("mia", 2, "test", "m1.png", "moth", "ant"),
    ("ole", 0, "train", "a2.png", "ant", "ant"),
    ("ole", 1, "test", "b1.png", "bee", "moth"),
]
NAMES = ("learner", "step", "phase", "image", "label", "response")


def rows() -> list[dict[str, Any]]:
    return [dict(zip(NAMES, step, strict=True)) for step in STEPS]


def ranked() -> list[dict[str, Any]]:
    return [
        {**row, "ranking": [row["response"], *sorted({"ant", "bee", "moth"} - {row["response"]})]}
        for row in rows()
    ]


def as_jsonl(content: list[dict[str, Any]], path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return path


def as_parquet(content: list[dict[str, Any]], path: Path) -> Path:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    # Two row groups, as large files have several.
    pandas.DataFrame(content).to_parquet(path, index=False, row_group_size=3)
    return path


@pytest.fixture(params=["jsonl", "parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    """What writes rows as a user would, in either format."""
    writer = as_jsonl if request.param == "jsonl" else as_parquet
    return lambda content: writer(content, tmp_path / f"answers.{request.param}")


def place(path: Path, row: int) -> str:
    """What errors call a row."""
    return f"{path}, line {row + 1}" if path.suffix == ".jsonl" else f"{path}, row {row}"


def everything(seed: int) -> Sequences:
    """Sequences that have all there is, some images shown to nobody."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 9, 6)
    n, m = int(lengths.sum()), 40
    ranking = random.permuted(np.tile(np.arange(4), (n, 1)), axis=1)[:, :3]
    truth = random.dirichlet(np.ones(4), n)
    item = random.integers(0, m, n)
    item[:4] = [3, 2, 1, 0]
    seconds = random.gamma(2.0, 1.0, n).astype(np.float32)
    seconds[::3] = np.nan
    return Sequences(
        classes=("d", "b", "é", "\"a'"),
        items=tuple(f"img {i}.png" for i in random.permutation(m)),
        labels=np.arange(m) % 4,
        learners=tuple(f"learner {i}" for i in random.permutation(6)),
        learner=np.repeat(np.arange(6), lengths),
        item=item,
        response=ranking[:, 0],
        test=np.concatenate([np.arange(length) >= length // 2 for length in lengths]),
        rankings=ranking,
        seconds=seconds,
        truth=truth,
        features=random.standard_normal((m, 3)).astype(np.float32),
        about={"seed": seed},
    )


def assert_alike(a: Sequences, b: Sequences) -> None:
    for each in fields(Sequences):
        x, y = getattr(a, each.name), getattr(b, each.name)
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y, each.name)
            assert x.dtype == y.dtype, each.name
        else:
            assert x == y, each.name


@pytest.mark.parametrize("suffix", data.SUFFIXES)
@pytest.mark.parametrize("seed", range(3))
def test_what_was_written_is_read(suffix: str, seed: int, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    whole = everything(seed)
    assert_alike(data.load(data.save(whole, tmp_path / f"a{suffix}")), whole)
    plain = replace(whole, rankings=None, seconds=None, truth=None, features=None, about={})
    # The features that lay beside the former file went with it.
    assert_alike(data.load(data.save(plain, tmp_path / f"a{suffix}")), plain)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}"]


def test_rows_stand_in_any_order(write: Callable[[list[dict[str, Any]]], Path]) -> None:
    shuffled = [ranked()[i] for i in (4, 1, 3, 0, 2)]
    for row, seconds in zip(shuffled, (1.5, None, 2, 0, 0.25), strict=True):
        row["response_time"] = seconds
        row["step"] *= 10
    found = data.load(write(shuffled))
    assert found.learners == ("ole", "mia")
    assert found.classes == ("ant", "bee", "moth")
    assert found.items == ("a1.png", "a2.png", "b1.png", "m1.png")
    assert found.labels.tolist() == [0, 0, 1, 2]
    assert found.learner.tolist() == [0, 0, 1, 1, 1]
    assert found.item.tolist() == [1, 2, 0, 2, 3]
    assert found.response.tolist() == [0, 2, 1, 1, 0]
    assert found.test.tolist() == [False, True, False, False, True]
    assert found.step.tolist() == [0, 1, 0, 1, 2]
    assert found.rankings is not None
    assert found.rankings.tolist() == [[0, 1, 2], [2, 0, 1], [1, 0, 2], [1, 0, 2], [0, 1, 2]]
    np.testing.assert_array_equal(found.seconds, np.array([2, 1.5, 0, np.nan, 0.25], np.float32))
    assert found.features is found.folder is found.truth is None


def test_the_order_of_the_classes_is_told(write: Callable[[list[dict[str, Any]]], Path]) -> None:
    path = write(rows())
    assert data.load(path, classes=CLASSES).classes == CLASSES
    assert data.load(path, classes=CLASSES).labels.tolist() == [2, 2, 1, 0]
    with pytest.raises(TypeError, match="classes: expected a list of names, found 'ant'"):
        data.load(path, classes="ant")
    for bad in (["ant"], ["ant", "bee", "ant"]):
        with pytest.raises(ValueError, match="classes: expected two different classes or more"):
            data.load(path, classes=bad)
        with pytest.raises(ValueError, match="classes: expected two different classes or more"):
            data.validate(path, classes=bad)


@pytest.mark.parametrize("suffix", data.SUFFIXES)
def test_true_probabilities_go_with_their_classes(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    made = everything(0)
    path = data.save(made, tmp_path / f"a{suffix}")
    turned = data.load(path, classes=made.classes[::-1])
    assert turned.truth is not None
    np.testing.assert_array_equal(turned.truth, made.truth[:, ::-1])
    np.testing.assert_array_equal(turned.rankings, 3 - made.rankings)
    told = "\n".join(data.validate(path, classes=(*made.classes[1:], "other")))
    assert f"{path}: truth: expected it of the classes b, é, " in told


def edited(row: int, **values: Any) -> list[dict[str, Any]]:
    """Rows one of which says something else."""
    content = ranked()
    content[row].update(values)
    return content


FAULTS: list[tuple[str, list[dict[str, Any]], int, str]] = [
    ("phase", edited(1, phase="pause"), 1, "phase: expected 'train' or 'test', found 'pause'"),
    (
        "label",
        edited(0, label="wasp"),
        0,
        "label: expected one of the classes 'moth', 'bee', 'ant', found 'wasp'",
    ),
    (
        "response",
        edited(3, response="wasp", ranking=["wasp", "ant", "bee"]),
        3,
        "response: expected one of the classes 'moth', 'bee', 'ant', found 'wasp'",
    ),
    (
        "ranked",
        edited(3, ranking=["ant", "wasp", "bee"]),
        3,
        "ranking: expected some of the classes 'moth', 'bee', 'ant', found ['ant', 'wasp', 'bee']",
    ),
    (
        "twice",
        edited(3, ranking=["ant", "bee", "bee"]),
        3,
        "ranking: expected different classes, found ['ant', 'bee', 'bee']",
    ),
    (
        "first",
        edited(3, ranking=["bee", "ant", "moth"]),
        3,
        "ranking: expected the response 'ant' first, found ['bee', 'ant', 'moth']",
    ),
    ("changing", edited(4, label="ant"), 4, "label: image 'b1.png' is 'ant' here and 'bee' in "),
    ("short", ranked()[:4], 3, "learner: expected at least 2 steps of each, found 1 of 'ole'"),
    ("again", edited(1, step=0), 1, "step: step 0 of learner 'mia' is there for the second time, first "),
    (
        "late",
        edited(2, step=-1)[2:3] + ranked()[:2] + ranked()[3:],
        0,
        "step: expected a whole number of at least 0, found -1",
    ),
    ("order", edited(0, step=9), 0, "phase: step 9 of learner 'mia' is training, after a test step in "),
    (
        "time",
        [{**row, "response_time": -row["step"] / 2} for row in ranked()],
        1,
        "response_time: expected seconds, 0 or more, found -0.5 (and 2 more)",
    ),
]


@pytest.mark.parametrize(("name", "content", "row", "told"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_the_row_that_is_wrong_is_named(
    name: str,
    content: list[dict[str, Any]],
    row: int,
    told: str,
    write: Callable[[list[dict[str, Any]]], Path],
) -> None:
    path = write(content)
    expected = f"{place(path, row)}: {told}"
    found = data.validate(path, classes=CLASSES)
    assert any(fault.startswith(expected) for fault in found), found
    with pytest.raises(ValueError, match="answers") as caught:
        data.load(path, classes=CLASSES)
    assert str(caught.value) == "\n".join(found)


def test_the_other_row_is_named_too(write: Callable[[list[dict[str, Any]]], Path]) -> None:
    for content, row, other in (
        (edited(4, label="ant"), 4, 1),
        (edited(1, step=0), 1, 0),
        (edited(0, step=9), 0, 2),
    ):
        path = write(content)
        (fault, *_) = [
            each for each in data.validate(path, classes=CLASSES) if each.startswith(place(path, row))
        ]
        assert place(path, other) in fault


def test_two_classes_are_ranked_both(write: Callable[[list[dict[str, Any]]], Path]) -> None:
    two = {"ant": "ant", "bee": "bee", "moth": "bee"}
    content = [{**row, "label": two[row["label"]], "response": two[row["response"]]} for row in rows()]
    both = [
        {**row, "ranking": sorted(["ant", "bee"], key=lambda name: name != row["response"])}
        for row in content
    ]
    found = data.load(write(both))
    assert found.rankings is not None
    assert found.rankings.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]]
    path = write(
        [{**row, "ranking": ranking["ranking"][:2]} for row, ranking in zip(rows(), ranked(), strict=True)]
    )
    assert data.validate(path) == [f"{path}: ranking: expected 3 of 3 classes, found 2"]
    for wrong in (["bee"], ["bee", "ant", "moth", "wasp"]):
        path = write([{**row, "ranking": wrong} for row in ranked()])
        (fault,) = data.validate(path)
        assert fault.startswith(f"{place(path, 0)}: ranking: expected a list of {min(3, max(2, len(wrong)))}")


def test_a_class_that_is_never_shown_is_refused(write: Callable[[list[dict[str, Any]]], Path]) -> None:
    path = write(rows()[:2] + rows()[3:])
    told = "label: expected every class, 'moth' is never shown"
    assert data.validate(path, classes=CLASSES) == [f"{path}: {told}"]
    # Where nobody tells the classes they are those of the labels, and one that is only answered is none.
    told = "response: expected one of the classes 'ant', 'bee', found 'moth'"
    assert data.validate(path) == [f"{place(path, 3)}: {told}"]


def test_a_single_class_is_refused(write: Callable[[list[dict[str, Any]]], Path]) -> None:
    path = write([{**row, "label": "ant", "response": "ant"} for row in rows()])
    assert data.validate(path) == [f"{path}: label: expected images of two classes or more, found ant alone"]


def test_a_file_without_rows_is_refused(
    write: Callable[[list[dict[str, Any]]], Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    assert data.validate(empty) == [f"{empty}: expected at least one row, found none"]
    path = write(rows())
    if path.suffix == ".parquet":
        import pandas

        frame = pandas.read_parquet(path).iloc[:0].astype({"step": "int64"})
        frame.to_parquet(path, index=False)
        assert data.validate(path) == [f"{path}: expected at least one row, found none"]


def test_missing_and_unknown_columns_are_named(write: Callable[[list[dict[str, Any]]], Path]) -> None:
    for name in NAMES:
        path = write([{key: value for key, value in row.items() if key != name} for row in rows()])
        where = f"{path}, line 1" if path.suffix == ".jsonl" else str(path)
        (fault,) = data.validate(path)
        assert fault.startswith(f"{where}: {name}: missing; found "), fault
    path = write([{**row, "mood": "good"} for row in rows()])
    where = f"{path}, line 1" if path.suffix == ".jsonl" else str(path)
    with pytest.raises(ValueError, match=f"{where}: mood: no column of this format, expected learner, step"):
        data.load(path)


# Of a line of JSON: what is wrong, and what is said of it.
LINES: list[tuple[dict[str, Any], str]] = [
    ({"learner": 3}, "learner: expected text, found 3"),
    ({"image": None}, "image: expected text, found null"),
    ({"label": 1}, "label: expected text, found 1"),
    ({"response": True}, "response: expected text, found true"),
    ({"phase": ["train"]}, 'phase: expected text, found ["train"]'),
    ({"step": "1"}, 'step: expected a whole number, found "1"'),
    ({"step": 1.0}, "step: expected a whole number, found 1.0"),
    ({"step": True}, "step: expected a whole number, found true"),
    ({"step": 2**63}, "step: expected less than 2^63, found 9223372036854775808"),
    ({"response_time": "1"}, 'response_time: expected seconds or null, found "1"'),
    ({"response_time": 10**400}, "response_time: expected seconds, found a number beyond all bounds"),
    ({"ranking": "bee"}, 'ranking: expected a list of classes, found "bee"'),
    ({"ranking": ["bee", "ant"]}, "ranking: expected a list of 3 classes, found ['bee', 'ant']"),
    ({"ranking": ["bee", 1, "ant"]}, "ranking: expected a list of 3 classes, found ['bee', 1, 'ant']"),
    ({"ranking": None}, "ranking: expected in all rows or in none, found it in some"),
    ({"truth": [0.5, 0.5]}, "truth: expected a list of 3 probabilities, found [0.5, 0.5]"),
    ({"truth": [0.5, 0.5, 10**400]}, "truth: expected a list of 3 probabilities, found [0.5, 0.5, 1"),
    ({"truth": 1}, "truth: expected a list of probabilities, found 1"),
    ({"truth": None}, "truth: expected in all rows or in none, found it in some"),
    ({"mood": 1}, "mood: no column of this format"),
]


@pytest.mark.parametrize(("values", "told"), LINES)
def test_a_value_of_another_type_is_named(values: dict[str, Any], told: str, tmp_path: Path) -> None:
    content = [{**row, "truth": [0.25, 0.25, 0.5]} for row in ranked()]
    path = as_jsonl(content, tmp_path / "a.jsonl")
    assert data.validate(path) == []
    content[2].update(values)
    (fault,) = data.validate(as_jsonl(content, path))
    assert fault.startswith(f"{path}, line 3: {told}")


@pytest.mark.parametrize("line", ["{", '{"step": NaN}', "[1]", "3", '{"a": 1} {"b": 2}', "[" * 100_000])
def test_a_line_that_is_no_object_of_json_is_named(line: str, tmp_path: Path) -> None:
    path = as_jsonl(rows(), tmp_path / "a.jsonl")
    with open(path, "a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(
        ValueError, match=r"a\.jsonl, line 7: (not a line of JSON|expected a JSON object, found)"
    ):
        data.load(path)


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = as_jsonl(rows(), tmp_path / "a.jsonl")
    path.write_bytes(path.read_bytes() + b"\xff\n")
    with pytest.raises(ValueError, match=r"a\.jsonl: not a text file in UTF-8"):
        data.load(path)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("label", [1, 2, 3, 1, 2], r"p\.parquet: label: expected text, found int64"),
        (
            "label",
            ["ant", None, "moth", "ant", "bee"],
            r"p\.parquet, row 1: label: expected a value, found none",
        ),
        ("step", [0.0, 1.0, 2.0, 0.0, 1.0], r"p\.parquet: step: expected whole numbers, found double"),
        ("step", np.array([0, 1, 2, 0, 2**63], np.uint64), r"row 4: step: expected less than 2\^63"),
        ("response_time", ["1"] * 5, r"p\.parquet: response_time: expected numbers, found .*string"),
        (
            "response_time",
            [0.0, np.inf, 1, 1, 1],
            "row 1: response_time: expected seconds, 0 or more, found inf",
        ),
        (
            "response_time",
            [0.0, 1e39, 1, 1, 1],
            r"row 1: response_time: expected seconds, 0 or more, found 1e\+39",
        ),
        ("ranking", ["bee"] * 5, r"p\.parquet: ranking: expected lists, found .*string"),
        (
            "ranking",
            [["bee", "ant", "moth"]] * 4 + [["bee"]],
            "row 4: ranking: expected a list of 3, found 1",
        ),
        ("ranking", [["bee", "ant", "moth"]] * 4 + [None], "row 4: ranking: expected a value, found none"),
        ("ranking", [["bee", "ant", None]] * 5, "row 0: ranking: expected a value, found none"),
        ("ranking", [[1, 2, 3]] * 5, r"p\.parquet: ranking: expected text, found int64"),
        ("truth", [[0.5, 0.5]] * 5, r"p\.parquet: truth: expected 3 numbers, one per class, found 2"),
        (
            "truth",
            [[0.5, 0.5, 0.0]] * 4 + [[0.5, 0.25, 0.0]],
            "row 4: truth: expected probabilities that sum to 1",
        ),
        ("truth", [[0.5, 1.0, -0.5]] * 5, "row 0: truth: expected probabilities that sum to 1.*4 more"),
        ("truth", [[0.5, 0.5, 0.0]] * 4 + [[np.nan, 1.0, 0.0]], "row 4: truth: expected a value, found none"),
        ("truth", [["0.5"]] * 5, "truth: expected lists of numbers, found lists of .*string"),
        ("mood", [1] * 5, r"p\.parquet: mood: no column of this format"),
    ],
)
def test_a_column_of_parquet_that_is_wrong_is_named(
    name: str, values: Any, told: str, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(rows())
    frame[name] = values
    frame.to_parquet(tmp_path / "p.parquet", index=False)
    with pytest.raises(ValueError, match=told):
        data.load(tmp_path / "p.parquet")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "p.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ValueError, match=r"p\.parquet: not a readable parquet file"):
        data.load(path)


def test_headers_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    classes = list(CLASSES)
    for header, told in (
        ({"format": 2}, r"line 1: format: this version reads 1, found 2"),
        ({"format": True}, r"line 1: format: this version reads 1, found True"),
        (
            {"format": 1, "colour": 3},
            "line 1: expected a header of format, classes, images and about, found 'colour'",
        ),
        ({"format": 1, "classes": "ant"}, "line 1: classes: expected a list of names, found 'ant'"),
        ({"format": 1, "classes": ["ant", "ant"]}, "line 1: classes: expected two different classes"),
        ({"format": 1, "images": ["a1.png"]}, "line 1: images: expected the class of each by name"),
        ({"format": 1, "about": "me"}, "line 1: about: expected names and values, found 'me'"),
        (
            {"format": 1, "classes": classes, "images": {"b1.png": "moth"}},
            r"line 3: label: image 'b1.png' is 'bee' here and 'moth' in the header \(and 1 more\)",
        ),
        (
            {"format": 1, "classes": classes, "images": {"x.png": "wasp"}},
            r"a.jsonl: header: expected images of the classes 'moth', 'bee', 'ant', found 'x.png' \('wasp'\)",
        ),
    ):
        path.write_text(json.dumps(header) + "\n")
        with open(path, "a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows())
        with pytest.raises(ValueError, match=told):
            data.load(path)


@pytest.mark.parametrize("header", [b"5", b"[]", b"null", b"{", b"\xff"])
def test_a_header_of_parquet_that_is_none_is_refused(header: bytes, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist(rows()).replace_schema_metadata({b"diptych.tracing": header})
    parquet.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(ValueError, match=r"p\.parquet: header: (expected a header of names|not JSON)"):
        data.load(tmp_path / "p.parquet")


def test_images_are_looked_for(write: Callable[[list[dict[str, Any]]], Path], tmp_path: Path) -> None:
    path = write(rows())
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a1.png", "m1.png", "a2.png"):
        Image.new("RGB", (2, 2)).save(folder / name)
    assert data.validate(path) == [f"{place(path, 1)}: image: {folder / 'b1.png'}: no such file"]
    (folder / "m1.png").unlink()
    assert data.validate(path) == [f"{place(path, 1)}: image: {folder / 'b1.png'}: no such file (and 1 more)"]
    content = rows()
    content[0]["image"] = name = "x" * 300
    told = f"{place(path, 0)}: image: {folder / name}: no such file (and 2 more)"
    assert data.validate(write(content)) == [told]
    write(rows())
    for name in ("b1.png", "m1.png"):
        Image.new("RGB", (2, 2)).save(folder / name)
    assert data.load(path).folder == folder
    elsewhere = folder.rename(tmp_path / "elsewhere")
    assert data.load(path).folder is None
    assert data.load(path, images=elsewhere).folder == elsewhere
    with pytest.raises(FileNotFoundError, match=r"images: .*nowhere: no such folder"):
        data.load(path, images=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../a1.png", "/a1.png", "x/../../a1.png", "", "a\0.png"])
def test_images_lie_inside_their_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    content = rows()
    content[0]["image"] = name
    path = as_jsonl(content, tmp_path / "a.jsonl")
    assert (
        data.validate(path)[0]
        == f"{path}, line 1: image: expected a path inside {tmp_path / 'images'}, found {name!r}"
    )


def test_images_that_nobody_was_shown_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a1.png", "a2.png", "b1.png", "m1.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / "images" / name)
    for name, told in (
        ("x.png", f"{tmp_path / 'images' / 'x.png'}: no such file"),
        ("../x.png", "expected a path inside"),
    ):
        header = {"format": 1, "images": {name: "ant"}}
        path = as_jsonl([header, *rows()], tmp_path / "a.jsonl")
        (fault,) = data.validate(path)
        assert fault.startswith(f"{path}: header: image: {told}")


def test_files_that_are_not_there_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.jsonl: no such file"):
        data.load(tmp_path / "a.jsonl")
    for call in (data.load, data.validate, lambda path: data.save(everything(0), path)):
        with pytest.raises(ValueError, match=r"a\.csv: expected a file ending in \.jsonl or \.parquet"):
            call(tmp_path / "a.csv")


def test_features_come_from_a_file_with_ids(tmp_path: Path) -> None:
    path = as_jsonl(rows(), tmp_path / "a.jsonl")
    ids = np.array(["b1.png", "m1.png", "z.png", "a2.png", "a1.png"])
    matrix = np.arange(10.0).reshape(5, 2)
    np.save(tmp_path / "x.npy", matrix)
    (tmp_path / "x.ids.txt").write_text("\n".join(ids) + "\n")
    found = data.load(path, features=tmp_path / "x.npy").features
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, matrix[[4, 3, 0, 1]])
    np.savez(tmp_path / "a.features.npz", ids=ids, features=matrix)
    np.testing.assert_array_equal(data.load(path).features, found)
    for arrays, told in (
        ({"features": matrix}, "expected ids of its rows, which are the names of the images, found none"),
        ({"features": matrix, "ids": ids[:4]}, "expected 5 ids, one per item, found 4"),
        (
            {"features": matrix, "ids": ids[[0, 0, 1, 3, 4]]},
            "expected different ids, found 1 that come again",
        ),
        ({"features": matrix[:4], "ids": ids[:4]}, "expected features of all 4 images, found none of a1.png"),
        ({"features": matrix * np.nan, "ids": ids}, "expected finite numbers, found NaN or Inf in row 0"),
        ({"features": matrix[:, 0], "ids": ids}, "expected exactly one matrix"),
    ):
        np.savez(tmp_path / "a.features.npz", **arrays)
        with pytest.raises(ValueError, match=rf"a\.features\.npz: {told}"):
            data.load(path)


def test_a_failed_save_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data.save(everything(0), tmp_path / "a.jsonl")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        data.save(everything(1), path)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_many_rows_are_told_apart_by_line(tmp_path: Path) -> None:
    """Lines are read in blocks; empty ones in between count."""
    content = [{**row, "learner": f"{row['learner']} {i}"} for i in range(200) for row in rows()]
    path = as_jsonl(content, tmp_path / "a.jsonl")
    path.write_text("\n" + path.read_text().replace('"mia 100"', '"mia 100"', 1))
    assert len(data.load(path)) == 400
    content[700]["phase"] = "pause"
    as_jsonl(content, path)
    path.write_text("\n" + path.read_text())
    assert data.validate(path) == [f"{path}, line 702: phase: expected 'train' or 'test', found 'pause'"]


@pytest.mark.usefixtures("impatient")
def test_progress_is_shown_where_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    path = data.save(everything(0), tmp_path / "a.jsonl")
    assert "writing" in capsys.readouterr().err
    data.load(path)
    assert "reading a.jsonl" in capsys.readouterr().err
    data.load(data.save(everything(0), path, progress=False), progress=False)
    data.validate(path, progress=False)
    assert capsys.readouterr().err == ""


def test_parquet_without_pyarrow_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match="parquet files need pyarrow: pip install pyarrow"):
        data.save(everything(0), tmp_path / "a.parquet")
