"""The web page in a real browser: what a learner sees, presses and reloads."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra collect is not installed")
from collect_images import write_images
from served import ORGANISER, Served

from diptych.collect import Pictures, Ranking, export

# Milliseconds in which what is pressed was meant for the screen before; the script's, and some.
GUARD = 400


class Visit:
    """A learner at a page, and everything that the browser complained about or asked for."""

    def __init__(self, browser: Any, served: Served, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1100, "height": 760}, **options)
        self.served = served
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = self.opened()
        self.page.goto(served.root)
        self.page.click("text=Begin")
        self.ready()
        self.address = self.page.url
        self.learner = served.sessions.store.learner(self.address.rpartition("/")[2])

    def opened(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: self.requests.append(request.url))
        return page

    def ready(self, screen: str = "", page: Any = None) -> None:
        chosen = f"[data-screen={screen}]" if screen else ""
        (page or self.page).wait_for_selector(f"#session[data-ready]{chosen}", timeout=20_000)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def begin(self) -> None:
        """Leave the first words of a phase."""
        self.page.wait_for_timeout(GUARD)
        self.press("Enter")
        self.page.wait_for_selector("#picture img")
        self.ready("trial")
        self.page.wait_for_timeout(GUARD)

    def text(self, where: str) -> str:
        return self.page.locator(where).inner_text()

    def answers(self) -> list[Any]:
        return [step.answer for step in self.served.sessions.store.steps(self.learner)]

    def label(self, step: int) -> str:
        kind = self.served.sessions.store.study.kind
        trial = self.served.sessions.store.steps(self.learner)[step].trial
        return kind.classes[kind.labels[trial.images[0]]]


@pytest.fixture(scope="module")
def small(kind: Ranking) -> Ranking:
    return replace(kind, train=3, test=1)


@pytest.fixture(scope="module")
def served(small: Ranking, pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(small, pictures, tmp_path_factory.mktemp("served") / "answers.sqlite")
    yield served
    served.close()


@pytest.fixture
def visit(browser: Any, served: Served) -> Iterator[Visit]:
    visit = Visit(browser, served)
    yield visit
    visit.context.close()


def test_a_session_by_keyboard_with_reloads_at_every_turn(
    visit: Visit, served: Served, tmp_path: Path
) -> None:
    page = visit.page
    assert "Training" in visit.text("h1")
    visit.begin()
    for step in range(4):
        if step == 3:
            assert "Now the test" in visit.text("h1")
            visit.begin()
        assert page.locator("#picture img").evaluate("image => image.naturalWidth") == 8
        visit.press("2")
        if step == 1:
            # In the middle of an answer: it begins anew, for nothing was confirmed.
            page.reload()
            visit.ready("trial")
            visit.press("2")
        assert page.locator("#primary").is_disabled()
        visit.press("3")
        assert page.locator("#primary:focus-visible").count() == 1
        page.wait_for_timeout(GUARD)
        visit.press("Enter")
        if step == 2:
            # While the answer is under way, or has just come.
            page.reload()
        if step == 3:
            break
        visit.ready("feedback")
        right = visit.label(step) == "Bari"
        assert visit.text("h1") == ("Yes, Bari" if right else f"It is {visit.label(step)}")
        assert page.locator(".places .right .name").inner_text() == visit.label(step)
        assert page.locator(".places li .name").all_inner_texts() == ["Bari", "Cooka", "Agara"]
        if step == 0:
            # Feedback is not lost by a reload either.
            page.reload()
            visit.ready("feedback")
        page.wait_for_timeout(GUARD)
        visit.press("Enter")
        visit.ready("trial")
    visit.ready("end")
    assert visit.answers() == [[1, 2, 0]] * 4
    assert visit.errors == []
    assert {request.split("/")[2] for request in visit.requests} == {f"127.0.0.1:{served.port}"}

    export(served.sessions.store.path, tmp_path / "answers.jsonl")
    names = {learner.number: learner.name for learner in served.sessions.store.learners()}
    _, *rows = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    own = [row for row in rows if row["learner"] == names[visit.learner]]
    assert [row["phase"] for row in own] == ["train"] * 3 + ["test"]
    assert [row["ranking"] for row in own] == [["Bari", "Cooka", "Agara"]] * 4
    # Of the step that was reloaded in the middle the time is not known.
    assert [row["response_time"] is None for row in own] == [False, True, False, False]
    assert all(0.2 < row["response_time"] < 20 for row in own if row["response_time"] is not None)


def test_a_double_click_answers_once_and_does_not_skip_the_feedback(visit: Visit) -> None:
    visit.begin()
    visit.page.click("text=Cooka")
    visit.page.click("text=Agara")
    visit.page.wait_for_timeout(GUARD)
    # The second click of a slow hand comes just when the feedback is there.
    visit.page.evaluate(
        """() => new MutationObserver(() => {
            if (document.querySelector("#session[data-ready][data-screen=feedback]")) {
                document.querySelector("#primary").click();
            }
        }).observe(document.querySelector("#session"), {attributes: true})"""
    )
    visit.page.dblclick("#primary")
    visit.ready("feedback")
    visit.page.wait_for_timeout(GUARD)
    assert visit.page.get_attribute("#session", "data-screen") == "feedback"
    assert visit.answers() == [[2, 0, 1], None, None, None]
    posted = [request for request in visit.requests if request.endswith("/answer")]
    assert len(posted) == 1


def test_what_was_chosen_is_undone_and_keys_that_are_held_confirm_nothing(visit: Visit) -> None:
    visit.begin()
    filled = visit.page.locator(".places .filled .name")
    visit.press("1", "1", "9")
    assert filled.all_inner_texts() == ["Agara"]
    visit.press("Backspace", "Backspace", "3", "1")
    # The last of three comes by itself, and goes with the one before it.
    assert filled.all_inner_texts() == ["Cooka", "Agara", "Bari"]
    visit.press("Backspace")
    assert filled.all_inner_texts() == ["Cooka"]
    assert visit.page.locator("#primary").is_disabled()
    visit.page.click("#undo")
    assert filled.count() == 0
    assert "Choose the likeliest" in visit.text("#said")
    visit.page.locator(".option").nth(2).focus()
    visit.press("Enter")
    visit.page.locator(".option").nth(1).focus()
    visit.page.keyboard.down("Enter")
    visit.page.keyboard.down("Enter")
    visit.page.keyboard.up("Enter")
    assert filled.all_inner_texts() == ["Cooka", "Bari", "Agara"]
    visit.page.wait_for_timeout(GUARD)
    assert visit.answers()[0] is None
    visit.press("Enter")
    visit.ready("feedback")
    assert visit.answers()[0] == [2, 1, 0]


def test_a_second_page_of_the_same_learner_cannot_answer_otherwise(visit: Visit) -> None:
    visit.begin()
    other = visit.opened()
    other.goto(visit.address)
    visit.ready(page=other)
    visit.press("2", "1")
    visit.page.wait_for_timeout(GUARD)
    visit.press("Enter")
    visit.ready("feedback")
    other.wait_for_timeout(GUARD)
    other.keyboard.press("Enter")
    other.wait_for_selector("#picture img")
    visit.ready("trial", other)
    other.keyboard.press("3")
    other.keyboard.press("1")
    other.wait_for_timeout(GUARD)
    other.keyboard.press("Enter")
    visit.ready("feedback", other)
    assert "another had come before, which is kept" in other.locator("#trouble").inner_text()
    assert other.locator(".places .name").all_inner_texts() == ["Bari", "Agara", "Cooka"]
    assert visit.answers()[0] == [1, 0, 2]


def test_an_answer_given_while_the_server_is_away_arrives_later(
    browser: Any, small: Ranking, pictures: Pictures, tmp_path: Path
) -> None:
    served = Served(small, pictures, tmp_path / "answers.sqlite")
    visit = Visit(browser, served)
    visit.begin()
    for step, stays in enumerate((True, False)):
        visit.served.close()
        visit.press("3", "2", "Enter")
        visit.page.wait_for_selector("text=this page tries again")
        if not stays:
            visit.page.goto("about:blank")
        visit.served = Served(small, pictures, tmp_path / "answers.sqlite", served.port)
        if not stays:
            visit.page.goto(visit.address)
        visit.ready("feedback")
        assert visit.page.locator("#trouble").is_hidden()
        assert visit.answers() == [[2, 1, 0]] * (step + 1) + [None] * (3 - step)
        assert visit.served.sessions.store.steps(visit.learner)[step].seconds is not None
        visit.page.wait_for_timeout(GUARD)
        visit.press("Enter")
        visit.ready("trial")
        visit.page.wait_for_timeout(GUARD)
    visit.served.close()
    visit.context.close()


def test_who_blocks_what_sites_store_can_take_part(browser: Any, served: Served) -> None:
    visit = Visit(browser, served)
    denied = "{get() { throw new DOMException('denied', 'SecurityError'); }}"
    visit.context.add_init_script(f"Object.defineProperty(window, 'sessionStorage', {denied})")
    visit.page.reload()
    visit.ready()
    visit.begin()
    visit.press("3", "2")
    visit.page.wait_for_timeout(GUARD)
    visit.press("Enter")
    visit.ready("feedback")
    assert visit.answers()[0] == [2, 1, 0]
    assert visit.errors == []
    visit.context.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ranking, Pictures]:
    """Many classes, whose names would be a page's markup if they were not escaped."""
    classes = ("<img src=x onerror='window.hacked=1'>", "Élan_vital", "Grey_elk", "{{ 7 * 7 }}", "&amp;")
    classes += tuple(f"Kind_{number}" for number in range(8))
    pictures = Pictures(write_images(tmp_path_factory.mktemp("many") / "images", classes, 1))
    return Ranking(pictures.names, pictures.classes, pictures.labels, train=13, test=0), pictures


@pytest.fixture
def searching(many: tuple[Ranking, Pictures], tmp_path: Path) -> Iterator[Served]:
    served = Served(*many, tmp_path / "answers.sqlite")
    yield served
    served.close()


def test_many_classes_are_searched(browser: Any, searching: Served) -> None:
    visit = Visit(browser, searching)
    visit.begin()
    classes = searching.sessions.store.study.kind.classes
    shown = visit.page.locator(".list .name")
    assert shown.all_inner_texts() == [name.replace("_", " ") for name in classes]
    visit.page.keyboard.type("el")
    assert shown.all_inner_texts() == ["Élan vital", "Grey elk"]
    assert visit.page.locator("#class-" + str(classes.index("Élan_vital")) + ".marked").count() == 1
    visit.press("ArrowDown", "Enter")
    assert visit.page.locator(".places .filled .name").all_inner_texts() == ["Grey elk"]
    assert visit.page.input_value(".search") == ""
    visit.page.keyboard.type("zzz")
    assert "No class" in visit.text(".list")
    visit.press("Enter", "Escape", "Backspace")
    assert visit.page.locator(".places .filled").count() == 0
    for sought in ("img", "7 *", "kind 3"):
        visit.page.keyboard.type(sought)
        visit.press("Enter")
    visit.page.wait_for_timeout(GUARD)
    visit.press("Enter")
    visit.ready("feedback")
    picked = next(name for name in classes if "img" in name), "{{ 7 * 7 }}", "Kind_3"
    assert visit.answers()[0] == [classes.index(name) for name in picked]
    assert visit.page.evaluate("window.hacked") is None
    assert visit.errors == []
    visit.context.close()


def test_a_phone_in_the_dark(browser: Any, searching: Served) -> None:
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    context = browser.new_context(**phone, color_scheme="dark", reduced_motion="reduce")
    page = context.new_page()
    page.goto(searching.root)
    page.tap("text=Begin")
    page.wait_for_selector("#session[data-ready]")
    page.wait_for_timeout(GUARD)
    page.tap("#primary")
    page.wait_for_selector("#picture img")
    page.wait_for_selector("#session[data-ready]")
    style = "getComputedStyle(document.querySelector('{}')).{}"
    paper = page.evaluate(style.format("html", "backgroundColor"))
    assert max(map(int, paper.strip("rgb()").split(","))) < 60
    assert page.evaluate(style.format(".option", "transitionDuration")) == "0s"
    assert page.locator("#picture img").get_attribute("alt") == "Picture 1 of 13"
    # No keyboard is opened over the page, and nothing is wider than it.
    assert page.evaluate("document.activeElement.tagName") != "INPUT"
    assert page.locator("kbd:visible").count() == 0
    for name in ("Grey elk", "Kind 0", "Kind 7"):
        page.tap(f".list >> text={name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.wait_for_timeout(GUARD)
    page.tap("#primary")
    page.wait_for_selector("#session[data-ready][data-screen=feedback]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_the_organisers_page_shows_what_is_new_by_itself(browser: Any, served: Served) -> None:
    page = browser.new_page()
    page.clock.install()
    page.goto(f"{served.root}/organiser/{ORGANISER}")
    begun = len(served.sessions.store.learners())
    assert page.locator(".facts dd").first.inner_text() == str(begun)
    served.sessions.store.begin(f"another {begun}", time.time())
    page.clock.run_for(5_100)
    page.wait_for_function(f"document.querySelector('.facts dd').textContent === '{begun + 1}'")
    with page.expect_download() as download:
        page.click("text=Answers as JSON lines")
    header, *_ = Path(download.value.path()).read_text().splitlines()
    assert json.loads(header)["format"] == 1
    page.close()
