"""Sets in the layout in which the study's were published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.tracing import data
from diptych.tracing.published import load_published

NAMES = [f"{i}.png" for i in range(6)]
LABELS = [0, 1, 2, 0, 1, 2]

Told = tuple[dict[str, Any], dict[str, Any]]


def session(name: str, shown: list[int], responses: list[list[Any]], tested: int = 2) -> dict[str, Any]:
    hits = [
        {
            "HIT_image_ids": f"https://example.org/{NAMES[item]}",
            "target_label": LABELS[item],
            "response": json.dumps(response),
            "feedback": "testing" if step >= len(shown) - tested else "training",
        }
        for step, (item, response) in enumerate(zip(shown, responses, strict=True))
    ]
    correct = sum(
        hit["feedback"] == "testing" and int(json.loads(hit["response"])[0]) == hit["target_label"]
        for hit in hits
    )
    return {
        "username": name,
        "hit_list": hits,
        "shuffled_indices": shown,
        "num_hits_per_session": len(shown),
        "hits_completed": len(shown),
        "num_correct_test": correct,
        "timestamp": "2021-01-01 10:00:00.000001",
        "session_finish_time": "2021-01-01 10:20:00.000001",
    }


def layout() -> Told:
    pictures = {
        "image_urls": [f"https://example.org/set/{name}" for name in NAMES],
        "labels": LABELS,
        "class_names": ["Bari", "Agara", "Cooka"],
    }
    unfinished = session("cut", [0, 1, 2, 3], [[0, 1, 2]] * 4)
    unfinished |= {"hits_completed": 2, "hit_list": unfinished["hit_list"][:2]}
    sessions = {
        "zoe": session("zoe", [5, 0, 1, 2], [[1, 2, 0], [0, 2, 1], [1, 0, 2], [2, 1, 0]]),
        "cut": unfinished,
        "bad": session("bad", [0, 1, 2, 3], [[0, 1, 2], [0, 1, 2], [0, 1, 2], [1, 0, 2]]),
        # Some of the numbers come as text.
        "amy": session(
            "amy", [3, 4, 2, 5], [["1", "2", "0"], ["0", "2", "1"], ["2", "0", "1"], ["2", "1", "0"]]
        ),
    }
    return pictures, sessions


def put(told: Told, folder: Path) -> Path:
    pictures, sessions = told
    root = folder / "greebles"
    (root / "mongodb_data").mkdir(parents=True, exist_ok=True)
    (root / "images").mkdir(exist_ok=True)
    (root / "greebles.json").write_text(json.dumps(pictures))
    (root / "mongodb_data" / "db_dict.json").write_text(json.dumps(sessions))
    for name in NAMES:
        Image.new("RGB", (2, 2)).save(root / "images" / name)
    return root


def test_a_set_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put(layout(), tmp_path)
    found = load_published(root, least_correct=2)
    assert found.classes == ("Bari", "Agara", "Cooka")
    assert found.items == tuple(NAMES)
    assert found.labels.tolist() == LABELS
    assert found.learners == ("zoe", "amy")
    assert found.learner.tolist() == [0] * 4 + [1] * 4
    assert found.item.tolist() == [5, 0, 1, 2, 3, 4, 2, 5]
    assert found.response.tolist() == [1, 0, 1, 2, 1, 0, 2, 2]
    assert found.test.tolist() == [False, False, True, True] * 2
    assert found.rankings is not None
    assert found.rankings[:2].tolist() == [[1, 2, 0], [0, 2, 1]]
    assert found.seconds is None
    assert found.folder == root / "images"
    assert found.about == {"set": "greebles", "unfinished": 1, "too_few_correct": 1}
    assert load_published(root, least_correct=0).learners == ("zoe", "bad", "amy")
    monkeypatch.chdir(root)
    assert load_published(".", least_correct=2).learners == ("zoe", "amy")


def test_a_set_becomes_a_file_of_answers(tmp_path: Path) -> None:
    found = load_published(put(layout(), tmp_path), least_correct=2)
    again = data.load(data.save(found, tmp_path / "greebles" / "answers.jsonl"))
    assert (again.items, again.learners, again.about, again.folder) == (
        found.items,
        found.learners,
        found.about,
        found.folder,
    )
    for name in ("labels", "learner", "item", "response", "test", "rankings"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_longer_rankings_are_cut(tmp_path: Path) -> None:
    pictures, sessions = layout()
    pictures["class_names"].append("Dabo")
    pictures["labels"] = [*LABELS[:5], 3]
    sessions["zoe"]["hit_list"][0] |= {"target_label": 3, "response": "[1, 2, 3, 0]"}
    sessions["amy"]["hit_list"][3] |= {"target_label": 3}
    found = load_published(put((pictures, sessions), tmp_path), least_correct=2)
    assert found.rankings is not None
    assert found.rankings[0].tolist() == [1, 2, 3]
    assert found.response[0] == 1


def pop(*keys: Any) -> Callable[[Told], None]:
    def change(told: Told) -> None:
        inner: Any = told
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return change


def put_in(value: Any, *keys: Any) -> Callable[[Told], None]:
    def change(told: Told) -> None:
        inner: Any = told
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


HIT = (1, "zoe", "hit_list", 1)
OTHER_LAYOUTS: list[tuple[Callable[[Told], None], str]] = [
    (pop(0, "image_urls"), r"greebles\.json: expected the key 'image_urls', found 'labels', 'class_names'$"),
    (pop(0, "labels"), r"greebles\.json: expected the key 'labels'"),
    (pop(0, "class_names"), r"greebles\.json: expected the key 'class_names'"),
    (put_in({"0": "a"}, 0, "class_names"), r"greebles\.json: class_names: expected a list, found {'0': 'a'}"),
    (put_in(["a", "a"], 0, "class_names"), r"greebles\.json: class_names: expected two different classes"),
    (
        put_in([0, "1", 2, 0, 1, 2], 0, "labels"),
        r"greebles\.json: labels: expected whole numbers, found '1' at place 1",
    ),
    (put_in([0, 1, 2], 0, "labels"), r"greebles\.json: labels: expected 6, one per image, found 3"),
    (put_in([0, 1, 2, 0, 1, 3], 0, "labels"), r"greebles\.json: labels: expected 0 to 2, found 3 of 5\.png"),
    (
        put_in([0, 1, 2, 3, 4, 5], 0, "image_urls"),
        r"greebles\.json: image_urls: expected texts, found 0 at place 0",
    ),
    (
        put_in(["a/0.png", "b/0.png", "2.png", "3.png", "4.png", "5.png"], 0, "image_urls"),
        r"greebles\.json: labels: expected one of each image, found two of 0\.png",
    ),
    (
        put_in([], 1, "zoe"),
        r"db_dict\.json, learner 'zoe': expected an object of keys and values, found \[\]",
    ),
    (
        pop(1, "zoe", "hit_list"),
        r"learner 'zoe': expected the key 'hit_list', found 'username', 'shuffled_indices'",
    ),
    (pop(1, "zoe", "shuffled_indices"), r"learner 'zoe': expected the key 'shuffled_indices'"),
    (pop(1, "cut", "num_hits_per_session"), r"learner 'cut': expected the key 'num_hits_per_session'"),
    (put_in(0, 1, "cut", "num_hits_per_session"), r"num_hits_per_session: expected at least 2, found 0"),
    (pop(1, "cut", "hits_completed"), r"learner 'cut': expected the key 'hits_completed'"),
    (pop(1, "bad", "num_correct_test"), r"learner 'bad': expected the key 'num_correct_test'"),
    (put_in("4", 1, "zoe", "hits_completed"), r"hits_completed: expected a whole number, found '4'"),
    (pop(1, "zoe", "hit_list", 3), r"hit_list: expected 4, as num_hits_per_session says, found 3"),
    (
        pop(1, "zoe", "shuffled_indices", 3),
        r"shuffled_indices: expected 4, as num_hits_per_session says, found 3",
    ),
    (
        put_in(6, 1, "zoe", "shuffled_indices", 1),
        r"learner 'zoe', step 1: shuffled_indices: expected 0 to 5, found 6",
    ),
    (put_in(3, *HIT), r"learner 'zoe', step 1: expected an object of keys and values, found 3"),
    (
        pop(*HIT, "response"),
        r"step 1: expected the key 'response', found 'HIT_image_ids', 'target_label', 'feedback'",
    ),
    (pop(*HIT, "feedback"), r"step 1: expected the key 'feedback'"),
    (pop(*HIT, "target_label"), r"step 1: expected the key 'target_label'"),
    (put_in(None, *HIT, "feedback"), r"step 1: feedback: expected text, found None"),
    (
        put_in(1, *HIT, "target_label"),
        r"step 1: target_label: expected 0, that of 0\.png in greebles\.json, found 1",
    ),
    (put_in([2, 0, 1], *HIT, "response"), r"step 1: response: expected text, found \[2, 0, 1\]"),
    (
        put_in("moth", *HIT, "response"),
        r"step 1: response: expected class numbers as JSON in a text, .*found 'moth'",
    ),
    (put_in("2", *HIT, "response"), r"step 1: response: expected class numbers as JSON"),
    (put_in("[1e400, 1, 2]", *HIT, "response"), r"step 1: response: expected class numbers as JSON"),
    (put_in("[null, 1, 2]", *HIT, "response"), r"step 1: response: expected class numbers as JSON"),
    (
        put_in("[2, 1]", *HIT, "response"),
        r"step 1: response: expected a ranking of at least 3 of the classes 0 to 2",
    ),
    (
        put_in("[3, 1, 2]", *HIT, "response"),
        r"step 1: response: expected a ranking of at least 3 of the classes 0",
    ),
    # What any file of answers is held against.
    (put_in("[2, 1, 1]", *HIT, "response"), r"'zoe', step 1: ranking: expected different classes"),
    (
        put_in("testing", 1, "zoe", "hit_list", 0, "feedback"),
        r"'zoe', step 1: phase: .* is training, after a test step",
    ),
]


@pytest.mark.parametrize(("change", "told"), OTHER_LAYOUTS)
def test_another_layout_is_named(change: Callable[[Told], None], told: str, tmp_path: Path) -> None:
    content = layout()
    change(content)
    with pytest.raises(ValueError, match=told):
        load_published(put(content, tmp_path), least_correct=2)


def test_sets_of_which_nobody_is_left_are_refused(tmp_path: Path) -> None:
    root = put(layout(), tmp_path)
    with pytest.raises(
        ValueError,
        match="expected at least one finished session, found none: 1 unfinished, 3 too_few_correct",
    ):
        load_published(root)
    for bad, kind in ((-1, ValueError), (1.0, TypeError)):
        with pytest.raises(kind, match="least_correct: expected"):
            load_published(root, least_correct=bad)  # type: ignore[arg-type]


def test_missing_files_are_named(tmp_path: Path) -> None:
    for name in ("images/3.png", "mongodb_data/db_dict.json", "greebles.json"):
        root = put(layout(), tmp_path)
        (root / name).unlink()
        with pytest.raises((FileNotFoundError, ValueError), match=f"{name}: no such file"):
            load_published(root, least_correct=2)
    root = put(layout(), tmp_path)
    (root / "images").rename(root / "pictures")
    with pytest.raises(FileNotFoundError, match="images: no such folder"):
        load_published(root)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json: no such file; is this a set of the study"):
        load_published(tmp_path / "nowhere")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for name in ("greebles.json", "mongodb_data/db_dict.json"):
        root = put(layout(), tmp_path)
        (root / name).write_text("{")
        with pytest.raises(ValueError, match=f"{name}: not a JSON file"):
            load_published(root)
        (root / name).write_text("[1]")
        with pytest.raises(ValueError, match=rf"{name}: expected an object of keys and values, found \[1\]"):
            load_published(root)
