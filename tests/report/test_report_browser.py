"""The page in a real browser: what a person would see, point at and press."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diptych import report
from diptych.plots.projection import project
from diptych.rdx.words import GridDescription, read

CHOSEN = "() => ['map-a', 'map-b'].map(id => document.getElementById(id).data.at(-1))"
HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<!--<script>",
    "-->",
    '"><img src=x onerror="window.hacked = 3">',
    "'><svg onload='window.hacked = 4'>",
    "{{ 7 * 7 }}",
    "<b>$bold$</b>",
]


class Visit:
    """One opened page and everything it complained about or asked for."""

    def __init__(self, browser: Any, folder: Path, **options: Any) -> None:
        self.page = browser.new_page(**{"viewport": {"width": 1440, "height": 900}, **options})
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.address = (folder / "index.html").resolve().as_uri()

    def open(self) -> Any:
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)
        return self.page

    def outside_requests(self) -> list[str]:
        return [
            url for url in self.requests if url != self.address and not url.startswith(("data:", "blob:"))
        ]


@pytest.fixture(scope="module")
def folder(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report"
    told = [read(f"Description: {'W' * 400}"), GridDescription(error="no"), read("Description: an arc")]
    options = {"images": digits.images, "labels": digits.labels, "descriptions": (told, told)}
    return report.write(digits.result, path, **options, progress=False)


@pytest.fixture
def visit(browser: Any, folder: Path) -> Iterator[Visit]:
    visit = Visit(browser, folder)
    visit.open()
    yield visit
    visit.page.close()


def test_every_image_loads_and_nothing_is_asked_of_a_network(visit: Visit, digits: Any) -> None:
    widths = visit.page.eval_on_selector_all(".tile img", "all => all.map(i => i.naturalWidth)")
    expected = sum(len(grid) for _, _, side in digits.result.directions for grid in side.grids)
    assert len(widths) == expected
    assert set(widths) == {8}
    assert visit.errors == []
    assert visit.outside_requests() == []


@pytest.mark.parametrize(("side", "group"), [(0, 1), (1, 2)])
def test_choosing_an_explanation_highlights_its_items_in_both_maps(
    visit: Visit, digits: Any, side: int, group: int
) -> None:
    card = visit.page.locator(f"#{'ab'[side]}-{group + 1}")
    card.click()
    grid = digits.result.directions[side][2].grids[group]
    first = project(digits.result.embeddings[0])
    projections = first, project(digits.result.embeddings[1], like=first)
    for trace, projection in zip(visit.page.evaluate(CHOSEN), projections, strict=True):
        assert trace["name"] == "chosen"
        assert trace["customdata"] == grid.tolist()
        drawn = np.column_stack([values(trace["x"]), values(trace["y"])])
        # Coordinates travel in 65,535 steps of their range; half a step is the rounding.
        step = np.ptp(projection.points, axis=0) / 65_535
        assert np.all(np.abs(drawn - projection.points[grid]) <= 0.51 * step)
    assert card.locator("button").get_attribute("aria-pressed") == "true"
    card.click()
    assert [len(trace["customdata"]) for trace in visit.page.evaluate(CHOSEN)] == [0, 0]
    assert card.locator("button").get_attribute("aria-pressed") == "false"
    assert visit.errors == []


def test_words_can_be_read_without_choosing_their_group(visit: Visit) -> None:
    for name, chosen in (("#a-2 summary", "false"), ("#a-3 .said p", "false"), ("#a-2 .tile", "true")):
        visit.page.locator(name).first.click()
        assert visit.page.locator(name.split()[0]).locator("button").get_attribute("aria-pressed") == chosen
    assert visit.page.locator("#a-2 details").get_attribute("open") is not None
    said = visit.page.locator("#a-1 .said")
    assert said.evaluate("e => e.scrollWidth <= e.clientWidth && e.offsetWidth < e.parentElement.offsetWidth")
    assert visit.errors == []


def values(drawn: Any) -> list[float]:
    """Coordinates of a trace, which Plotly keeps as a list or a typed array."""
    return list(drawn.values()) if isinstance(drawn, dict) else list(drawn)


def test_explanations_can_be_chosen_and_cleared_by_keyboard(visit: Visit) -> None:
    visit.page.locator("#a-2 button").focus()
    visit.page.keyboard.press("Enter")
    assert all(len(trace["customdata"]) > 0 for trace in visit.page.evaluate(CHOSEN))
    assert "Group 2 of Upper half" in visit.page.locator("#status").inner_text()
    visit.page.keyboard.press("Escape")
    assert [len(trace["customdata"]) for trace in visit.page.evaluate(CHOSEN)] == [0, 0]


@pytest.mark.parametrize("side", ["a", "b"])
def test_hovering_a_point_shows_its_picture_name_and_label(visit: Visit, digits: Any, side: str) -> None:
    visit.page.locator("#a-1 button").click()
    item = int(digits.result.a.grids[0][0])
    place = visit.page.evaluate(
        """([id, item]) => {
            const map = document.getElementById(id);
            const trace = map.data.at(-1), i = trace.customdata.indexOf(item);
            const {xaxis, yaxis} = map._fullLayout, box = map.getBoundingClientRect();
            return [box.left + xaxis._offset + xaxis.d2p(trace.x[i]),
                    box.top + yaxis._offset + yaxis.d2p(trace.y[i])];
        }""",
        [f"map-{side}", item],
    )
    visit.page.mouse.move(place[0] - 40, place[1] - 40)
    visit.page.mouse.move(*place, steps=4)
    visit.page.wait_for_selector("#tooltip:not([hidden])", timeout=5_000)
    # In one go: on a busy machine an earlier step of the mouse may still be told of.
    shown, label, pixels = visit.page.evaluate(
        """() => {
            const text = (selector) => document.querySelector(`#tooltip ${selector}`).textContent;
            const canvas = document.querySelector('#tooltip canvas');
            const pen = canvas.getContext('2d'), side = canvas.width / 8;
            return [text('.name'), text('.label'), Array.from({length: 64}, (_, k) => pen.getImageData(
                (k % 8 + 0.5) * side, (Math.floor(k / 8) + 0.5) * side, 1, 1).data[0])];
        }"""
    )
    other = int(shown.removeprefix("item "))  # a close neighbor may lie on top of it
    assert label == f"label {digits.labels[other]}"
    # The sheet is a PNG and the canvas enlarges without smoothing: every value is exact.
    assert pixels == digits.images[other].ravel().tolist()
    assert visit.page.locator(".ring:not([hidden])").count() == 2


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_nothing_overflows_sideways(browser: Any, folder: Path, width: int) -> None:
    visit = Visit(browser, folder, viewport={"width": width, "height": 900})
    page = visit.open()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    page.close()


def test_hostile_labels_names_and_titles_are_inert(browser: Any, digits: Any, tmp_path: Path) -> None:
    hostile = [HOSTILE[i % len(HOSTILE)] for i in range(digits.result.n)]
    result = replaced(digits.result, names=(HOSTILE[1], HOSTILE[4]))
    result.a.notes.append(HOSTILE[2])
    said = [read(f"Description: {HOSTILE[0]}"), read(HOSTILE[4]), GridDescription(error=HOSTILE[5])]
    try:
        path = report.write(
            result,
            tmp_path / "report",
            labels=hostile,
            item_names=hostile,
            title=HOSTILE[0],
            command=HOSTILE[1],
            descriptions=(said, said),
            described_by=HOSTILE[1],
            progress=False,
        )
    finally:
        result.a.notes.pop()
    visit = Visit(browser, path)
    page = visit.open()
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == 3  # the data, Plotly, the page's own
    assert page.locator("h1").inner_text() == HOSTILE[0]
    seed = int(digits.result.a.grids[0][0])
    assert page.locator("#a-1 .tile .name").first.text_content() == hostile[seed]
    assert page.locator("#a-1 .tile figcaption").first.text_content() == hostile[seed]
    shown = [page.locator(f"#a-{group} .said p").last.text_content() for group in (1, 2, 3)]
    assert shown == [HOSTILE[0], HOSTILE[4], HOSTILE[5]]
    page.locator("#a-1 button").click()
    assert len(page.evaluate(CHOSEN)[0]["customdata"]) == len(digits.result.a.grids[0])
    assert page.evaluate("window.hacked") is None
    assert visit.errors == []
    assert visit.outside_requests() == []
    page.close()


def replaced(result: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(result, **changes)


def test_the_page_forbids_itself_every_connection(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder)
    page = visit.open()
    directive = page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener('securitypolicyviolation', e => resolve(e.effectiveDirective));
            fetch('https://127.0.0.1:9/').catch(() => undefined);
        })"""
    )
    assert directive == "connect-src"
    injected = page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener('securitypolicyviolation', e => resolve(e.effectiveDirective));
            document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.hacked=1">');
        })"""
    )
    assert injected == "script-src-attr"
    assert page.evaluate("window.hacked") is None
    page.close()


def test_maps_work_without_webgl(browser: Any, folder: Path, digits: Any) -> None:
    visit = Visit(browser, folder)
    visit.page.add_init_script(
        """const original = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
            return kind.includes('webgl') ? null : original.call(this, kind, ...rest);
        };"""
    )
    page = visit.open()
    page.locator("#b-1 button").click()
    traces = page.evaluate(CHOSEN)
    assert [trace["type"] for trace in traces] == ["scatter", "scatter"]
    assert [trace["customdata"] for trace in traces] == [digits.result.b.grids[0].tolist()] * 2
    assert visit.errors == []
    page.close()


def test_identical_representations_are_said_in_words(browser: Any, identical: Any, tmp_path: Path) -> None:
    path = report.write(identical, tmp_path / "report", progress=False)
    visit = Visit(browser, path)
    page = visit.open()
    assert "No differences were found" in page.locator(".finding").inner_text()
    assert page.locator(".card").count() == 0
    assert visit.errors == []
    page.close()


def test_page_without_embeddings_opens_without_maps(browser: Any, digits: Any, tmp_path: Path) -> None:
    bare = replaced(digits.result, embeddings=None)
    path = report.write(bare, tmp_path / "report", images=digits.images, labels=digits.labels, progress=False)
    visit = Visit(browser, path)
    visit.page.goto(visit.address)
    assert "embeddings were not saved" in visit.page.locator(".top .notes").inner_text()
    assert visit.page.locator(".map").count() == 0
    widths = visit.page.eval_on_selector_all(".tile img", "all => all.map(i => i.naturalWidth)")
    assert widths
    assert min(widths) > 0
    assert visit.errors == []
    visit.page.close()
