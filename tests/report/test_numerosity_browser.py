"""The page of a number line, and of a study, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from number_lines import planted

from diptych import numerosity, report

pytestmark = pytest.mark.usefixtures("one_thread")

HOSTILE = '"><img src=x onerror="window.hacked = 1">'
FEW = {"counts": (*range(6), 9), "each": 8, "min_cluster_size": 5}


@pytest.fixture(scope="module")
def line() -> Any:
    return planted(d=16, name=HOSTILE, **FEW)


@pytest.fixture(scope="module")
def folder(line: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study of one run, with that of the run in it."""
    path = tmp_path_factory.mktemp("browser") / "report"
    return report.write(numerosity.Study(path, "random", {HOSTILE: line}, ()), path, progress=False)


class Visit:
    """An opened page, and everything that it complained about or asked for."""

    def __init__(self, browser: Any, file: Path) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.problems: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type == "error" else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.address = file.resolve().as_uri()
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)

    def close(self) -> None:
        assert self.problems == []
        assert [url for url in self.asked if url != self.address and not url.startswith("data:")] == []
        assert self.page.evaluate("window.hacked") is None
        self.page.close()


@pytest.fixture(scope="module")
def page(browser: Any, folder: Path) -> Iterator[Any]:
    visit = Visit(browser, folder / "runs" / "run-0" / "index.html")
    yield visit.page
    visit.close()


def fits(page: Any) -> None:
    """Nothing is wider than the window, whichever it is, and all pictures are there."""
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")
    assert min(page.eval_on_selector_all("main img", "all => all.map(i => i.naturalWidth)")) > 100
    for width in (1280, 800, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_pictures_load_and_nothing_overflows(page: Any) -> None:
    fits(page)


def test_the_map_shows_every_scene_and_what_it_is(page: Any, line: Any) -> None:
    trace = "document.getElementById('map').data[0]"
    assert page.evaluate(f"{trace}.x.length") == len(line.counts)
    told = page.evaluate(f"{trace}.customdata")
    assert [item for item, *_ in told] == list(range(len(line.counts)))
    assert [count for _, count, *_ in told] == line.counts.tolist()
    assert [number for *_, number, _ in told] == [f"{each:.2f}" for each in line.perceived]
    names = [f"of {line.islands.majority[each]}" if each >= 0 else "none" for each in line.islands.labels]
    assert [name for *_, name in told] == names
    x = np.array(page.evaluate(f"{trace}.x"))
    assert abs(np.corrcoef(x, line.perceived)[0, 1]) > 0.98  # the planted line is the first component
    labels = page.evaluate("document.getElementById('map').layout.annotations.map(a => a.text)")
    assert labels == [f"<b>{each}</b>" for each in line.islands.majority]


def test_the_map_is_coloured_by_what_is_chosen(page: Any, line: Any) -> None:
    color = "document.getElementById('map').data[0].marker.color"
    assert page.evaluate(color) == line.counts.tolist()
    page.locator('[data-colored="perceived"]').focus()
    page.keyboard.press("Enter")
    np.testing.assert_allclose(page.evaluate(color), line.perceived, rtol=1e-6)  # float32
    page.locator('[data-colored="islands"]').click()
    colors = page.evaluate(color)
    assert len(set(colors)) == len(set(line.islands.labels.tolist()))
    assert page.locator('[data-colored="islands"]').get_attribute("aria-pressed") == "true"
    assert page.locator('[data-colored="counts"]').get_attribute("aria-pressed") == "false"


def test_pointing_at_a_scene_tells_its_numbers(page: Any, line: Any) -> None:
    place = page.evaluate(
        """() => {
          const map = document.getElementById('map'), { xaxis, yaxis } = map._fullLayout;
          map.scrollIntoView({ block: 'center' });
          const { left, top } = map.getBoundingClientRect();
          const [x, y] = [map.data[0].x[0], map.data[0].y[0]];
          return [left + xaxis._offset + xaxis.l2p(x), top + yaxis._offset + yaxis.l2p(y)];
        }"""
    )
    page.mouse.move(*place)
    page.wait_for_selector(".hoverlayer .hovertext")
    assert "0 objects, perceived as" in page.locator(".hoverlayer .hovertext").text_content()


def test_a_study_leads_to_the_pages_of_its_runs(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "index.html")
    fits(visit.page)
    assert visit.page.locator(".run h3").inner_text() == HOSTILE
    link = visit.page.locator(".run a").get_attribute("href")
    assert (folder / link).is_file()
    visit.close()
