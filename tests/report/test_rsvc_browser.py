"""The page of an RSVC comparison in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rsvc_results import comparison, pictures

from diptych import report
from diptych.rsvc import words


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report"
    classes = {"one": comparison(0, heads=False), '"><b onclick="x">': comparison(1, heads=False)}
    patches = {name: pictures(number) for number, name in enumerate(classes)}
    long = "W" * 300
    answer = f"IC1: {long}\nIC2: {long}\nSimilarity: {long}\nDifference: {long}\nSemantic difference: No"
    told = words.read(answer), words.read(f"{long}\n{long}"), words.Description(error=long)
    keys = [(network, name, concept) for name in classes for network in (1, 2) for concept in range(3)]
    descriptions = {key: told[key[2]] for key in keys}
    written = report.write_rsvc(classes, path, patches=patches, descriptions=descriptions, progress=False)
    return written / "index.html"


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    address = page_file.resolve().as_uri()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    yield page
    assert problems == []
    assert [url for url in asked if url.split("#")[0] != address and not url.startswith("data:")] == []
    page.close()


def column(page: Any, name: str) -> list[float]:
    return page.eval_on_selector_all(".concept:not([hidden])", f"all => all.map(c => +c.dataset.{name})")


def test_pictures_load_and_nothing_overflows(page: Any) -> None:
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")
    assert page.locator(".said").count() == 12
    widths = page.eval_on_selector_all(".tile img", "all => all.map(i => i.naturalWidth)")
    assert len(widths) > 20
    assert set(widths) == {6}
    for width in (1300, 800, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_concepts_are_sorted_and_chosen_by_keyboard(page: Any) -> None:
    falls = column(page, "deltaPearson")
    assert falls == sorted(falls)
    assert len(falls) == 12
    page.locator('[data-by="cmcs"]').focus()
    page.keyboard.press("Enter")
    similarities = column(page, "cmcs")
    assert similarities == sorted(similarities)
    assert page.locator('[data-by="cmcs"]').get_attribute("aria-pressed") == "true"
    page.locator('[data-of="b"]').focus()
    page.keyboard.press("Space")
    assert len(column(page, "cmcs")) == 6
    assert page.locator("#status").inner_text() == "6 of 12 concepts"
    # A link of the table brings back what is hidden.
    page.locator('.tables a[href^="#a-"]').first.focus()
    page.keyboard.press("Enter")
    assert len(column(page, "cmcs")) == 12


def test_tables_are_sorted_by_the_head_of_a_column(page: Any) -> None:
    head = page.locator(".sortable").first.locator("thead th").nth(2)
    values = "all => all.slice(0, 6).map(r => +r.cells[2].dataset.value)"
    for press, way in enumerate(("ascending", "descending")):
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == way
        found = page.locator(".sortable").first.locator("tbody tr").evaluate_all(values)
        assert found == sorted(found, reverse=bool(press))
