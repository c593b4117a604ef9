"""The folder a report lies in, and what the page says; without a browser."""

import errno
import importlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych import report
from diptych.rdx.results import RDXResult
from diptych.report.maps import shown_items
from diptych.report.page import embedded_json
from diptych.report.words import label_mix

writing = importlib.import_module("diptych.report.rdx_write")


def page(folder: Path) -> str:
    """The page as a reader's eye has it: no scripts, no styles, no tags, single spaces."""
    text = (folder / "index.html").read_text("utf-8")
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", text)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_folder_holds_page_result_and_pictures(digits: Any, tmp_path: Path) -> None:
    path = report.write(digits.result, tmp_path / "deep" / "report", images=digits.images, progress=False)
    assert path == tmp_path / "deep" / "report"
    assert names(path) == [
        "explanations_a.png",
        "explanations_b.png",
        "index.html",
        "pca.png",
        "result.npz",
    ]
    assert names(tmp_path / "deep") == ["report"]
    again = RDXResult.load(path / "result.npz")
    np.testing.assert_array_equal(again.a.grids[0], digits.result.a.grids[0])
    assert again.embeddings is not None
    for picture in path.glob("*.png"):
        with Image.open(picture) as image:
            assert min(image.size) > 200
            assert np.asarray(image.convert("L")).std() > 0


def test_page_says_what_was_found(digits: Any, tmp_path: Path) -> None:
    result = digits.result
    command = "diptych compare 'upper half.npy' lower.npy --out <report>"
    path = report.write(result, tmp_path / "r", labels=digits.labels, command=command, progress=False)
    text = page(path)
    assert "Upper half and Lower half arrange the same 360 items in quite different ways" in text
    assert "1.8 are also among its ten nearest in the other" in text
    assert "0.292" in text
    assert "0.176" in text
    for _, _, side in result.directions:
        assert f"BSR {side.bsr:.3f}" in text
        for group, (rate, affinity) in enumerate(zip(side.bsr_per_grid, side.mean_affinity, strict=True)):
            size = np.count_nonzero(side.labels == group)
            assert f"BSR {rate:.2f} Mean affinity {affinity:.1f} Cluster {size:,} items" in text, group
    assert "&lt;report&gt;" in text
    for key, value in vars(result.parameters).items():
        assert f"{key} {value}" in text
    assert "ranks 0.01 s" in text


def test_maps_of_many_items_are_said_to_show_some(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "shown_items", lambda result: shown_items(result, limit=100))
    said = page(report.write(digits.result, tmp_path / "report", progress=False))
    total = f"{digits.result.n:,}"
    assert f"looks clear. The maps show 100 of {total} items, those of all groups among them." in said


def test_items_show_their_names_where_there_are_no_images(digits: Any, tmp_path: Path) -> None:
    item = int(digits.result.a.grids[0][0])
    assert f"item {item} " in page(report.write(digits.result, tmp_path / "a", progress=False))
    named = [f"scan & {number}" for number in range(digits.result.n)]
    path = report.write(digits.result, tmp_path / "b", item_names=named, progress=False)
    assert f"scan &amp; {item} " in page(path)


def test_ids_name_items_that_have_no_other_names(digits: Any, tmp_path: Path) -> None:
    result = replace(digits.result, ids=1000 + np.arange(digits.result.n))
    path = report.write(result, tmp_path / "a", images=digits.images, progress=False)
    for grid in digits.result.a.grids:
        assert str(1000 + grid[0]) in (path / "index.html").read_text()
    path = report.write(result, tmp_path / "b", progress=False)
    assert str(1000 + digits.result.a.grids[0][0]) in page(path)
    named = [f"named {item}" for item in range(result.n)]
    path = report.write(result, tmp_path / "c", item_names=named, progress=False)
    assert named[digits.result.a.grids[0][0]] in page(path)


def test_only_pictures_that_are_shown_are_opened(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(digits.images):
        Image.fromarray(picture).save(folder / f"{number}.png")
    opened: set[int] = set()
    really_open = Image.open

    def noting(path: Any, *arguments: Any) -> Any:
        if isinstance(path, Path):
            opened.add(int(path.stem))
        return really_open(path, *arguments)

    monkeypatch.setattr(Image, "open", noting)
    result = digits.result
    shown = {item for side in (result.a, result.b) for grid in side.grids for item in grid.tolist()}
    report.write(replace(result, embeddings=None), tmp_path / "grids", images=folder, progress=False)
    assert opened == shown
    # With maps also the pictures that appear under the pointer, up to a number.
    monkeypatch.setattr("diptych.report.thumbnails.SHEET_ITEMS", 100)
    report.write(result, tmp_path / "maps", images=folder, progress=False)
    assert shown < opened
    assert len(opened) == 100


def test_names_from_csv_come_before_those_of_files(digits: Any, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, picture in enumerate(digits.images):
        Image.fromarray(picture).save(folder / f"{number}.png")
    item = int(digits.result.a.grids[0][0])
    path = report.write(digits.result, tmp_path / "files", images=folder, progress=False)
    assert f'alt="{item}.png, seed item"' in (path / "index.html").read_text("utf-8")
    table = tmp_path / "labels.csv"
    rows = [f"scan {number},{label}" for number, label in enumerate(digits.labels)]
    table.write_text("\n".join(["name,label", *rows]), "utf-8")
    path = report.write(digits.result, tmp_path / "csv", images=folder, labels=table, progress=False)
    expected = f'alt="scan {item}, label {digits.labels[item]}, seed item"'
    assert expected in (path / "index.html").read_text("utf-8")


def test_unreadable_images_are_named_and_replaced(digits: Any, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, picture in enumerate(digits.images):
        Image.fromarray(picture).save(folder / f"{number}.png")
    broken = int(digits.result.b.grids[1][2])
    (folder / f"{broken}.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    path = report.write(digits.result, tmp_path / "r", images=folder, progress=False)
    assert f"Unreadable images, shown as a grey square: {broken}.png." in page(path)
    assert f'alt="{broken}.png"' in (path / "index.html").read_text("utf-8")


def test_notes_near_chance_and_alignment_are_told(digits: Any, tmp_path: Path) -> None:
    near_tie = "Two clusters tie for the lowest mean affinity."
    side = replace(digits.result.a, bsr=0.41, raw_bsr=0.444, notes=[near_tie])
    text = page(report.write(replace(digits.result, a=side), tmp_path / "r", progress=False))
    assert near_tie in text
    assert "Upper half shows no difference that holds" in text
    assert "Before alignment: 0.444." in text


def test_one_empty_direction_is_said_in_words(digits: Any, identical: RDXResult, tmp_path: Path) -> None:
    empty = replace(identical.a, labels=np.full(digits.result.n, -1))
    path = report.write(replace(digits.result, b=empty), tmp_path / "r", progress=False)
    assert "No differences found: Lower half groups nothing that Upper half does not." in page(path)


def test_identical_representations_make_a_page(identical: RDXResult, tmp_path: Path) -> None:
    path = report.write(identical, tmp_path / "r", labels=[0, 1] * 10, progress=False)
    assert "No differences were found" in page(path)
    assert (path / "explanations_a.png").exists()


def test_without_numbers_the_page_shows_dashes(identical: RDXResult, tmp_path: Path) -> None:
    nothing = replace(identical, cka=float("nan"), mutual_knn=float("nan"))
    text = page(report.write(nothing, tmp_path / "r", progress=False))
    assert "Linear CKA overall likeness; 1 is the same –" in text
    assert "A and B describe the same 20 items." in text


def test_an_existing_folder_is_refused_and_named(identical: RDXResult, tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.mkdir()
    with pytest.raises(FileExistsError, match=re.escape(str(path))):
        report.write(identical, path, progress=False)
    assert names(path) == []


def test_overwrite_replaces_an_earlier_report(identical: RDXResult, tmp_path: Path) -> None:
    path = report.write(identical, tmp_path / "report", title="first", progress=False)
    (path / ".hidden").touch()
    report.write(identical, path, title="second", overwrite=True, progress=False)
    assert "second" in page(path)
    assert ".hidden" not in names(path)
    assert names(tmp_path) == ["report"]


def test_overwrite_spares_folders_that_are_no_report(identical: RDXResult, tmp_path: Path) -> None:
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "chapter4.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"chapter4\.tex"):
        report.write(identical, path, overwrite=True, progress=False)
    file = tmp_path / "notes.txt"
    file.write_text("more work")
    with pytest.raises(FileExistsError, match="not a folder"):
        report.write(identical, file, overwrite=True, progress=False)
    assert (path / "chapter4.tex").read_text() == "years of work"
    assert file.read_text() == "more work"


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("stage", ["render", "write_figures"])
def test_an_interrupted_report_leaves_everything_as_it_was(
    identical: RDXResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    stage: str,
) -> None:
    path = report.write(identical, tmp_path / "report", title="whole", progress=False)

    def fail(*arguments: Any, **named: Any) -> None:
        raise failure

    monkeypatch.setattr(writing, stage, fail)
    for target, overwrite in ((path, True), (tmp_path / "other", False)):
        with pytest.raises(type(failure)):
            report.write(identical, target, overwrite=overwrite, progress=False)
    assert names(tmp_path) == ["report"]
    assert "whole" in page(path)


def test_a_failed_renaming_puts_the_earlier_report_back(
    identical: RDXResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = report.write(identical, tmp_path / "report", title="whole", progress=False)
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if Path(target) == path and (self / "index.html").exists() and self.parent == tmp_path:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(OSError, match="Input/output"):
        report.write(identical, path, overwrite=True, progress=False)
    assert names(tmp_path) == ["report"]
    assert "whole" in page(path)


def test_bad_input_writes_nothing(digits: Any, tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"images": digits.images[:7]},
        {"labels": [1, 2, 3]},
        {"item_names": ["one"]},
    ]
    for arguments in wrong:
        with pytest.raises(ValueError, match=r"\b[731]\b.*\b360\b"):
            report.write(digits.result, tmp_path / "r", progress=False, **arguments)
    assert names(tmp_path) == []


def test_float_images_outside_their_range_are_refused(digits: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"wanted uint8, or float in \[0, 1\]"):
        report.write(digits.result, tmp_path / "r", images=digits.images.astype(float), progress=False)
    assert names(tmp_path) == []


def test_embedded_json_cannot_end_its_script() -> None:
    text = embedded_json({"label": "</script><!-- <script> & \u2028 \ud800"})
    assert not set("<>&\u2028") & set(text)
    assert text.isascii()


def test_names_with_undecodable_bytes_are_written(digits: Any, tmp_path: Path) -> None:
    odd = ["caf\udce9"] * digits.result.n
    result = replace(digits.result, names=("\udce9", "B"))
    path = report.write(result, tmp_path / "r", item_names=odd, labels=odd, progress=False)
    assert "caf? caf?" in page(path)


def test_templates_are_packaged() -> None:
    folder = files("diptych.report") / "templates"
    for name in ("base.html.j2", "style.css", "rdx.html.j2", "rdx.js", "rsvc.html.j2", "rsvc.css", "rsvc.js"):
        assert (folder / name).is_file()


def test_writing_twice_gives_the_same_page(digits: Any, tmp_path: Path) -> None:
    first, second = (
        report.write(
            digits.result, tmp_path / name, images=digits.images, labels=digits.labels, progress=False
        )
        for name in "ab"
    )
    assert (first / "index.html").read_bytes() == (second / "index.html").read_bytes()


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat"] * 9, "all labelled cat"),
        (["dog"] * 3 + ["cat"] * 6, "6 labelled cat, 3 labelled dog"),
        (list("aaabbbccd"), "3 labelled a, 3 labelled b, 2 labelled c, 1 labelled d"),
        (list("aaabbbcde"), "3 labelled a, 3 labelled b, 1 labelled c, 2 others"),
    ],
)
def test_label_mix_counts_every_item(labels: list[str], said: str) -> None:
    assert label_mix(labels) == said


def test_a_folder_that_appears_meanwhile_is_not_lost(
    identical: RDXResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report"

    def slow_render(*arguments: Any) -> bytes:
        path.mkdir()
        (path / "theirs.txt").touch()
        return b"<!doctype html>"

    monkeypatch.setattr(writing, "render", slow_render)
    with pytest.raises(FileExistsError, match="report exists"):
        report.write(identical, path, progress=False)
    assert names(path) == ["theirs.txt"]
    assert names(tmp_path) == ["report"]


def test_the_folder_can_be_read_by_whom_the_umask_allows(identical: RDXResult, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        path = report.write(identical, tmp_path / "report", progress=False)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o755


def test_a_missing_package_is_named_with_its_remedy() -> None:
    program = "import sys; sys.modules['jinja2'] = None; import diptych.report"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "diptych.report needs jinja2: pip install 'diptych[report]'" in run.stderr
