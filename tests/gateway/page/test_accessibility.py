"""For keyboards, screen readers and narrow screens."""

from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gateway.page.fake_gateway import (
    FakeGateway,
    Gate,
    Json,
    answer_all,
    failure,
    finish,
    header,
    size,
    status,
    summary,
    text,
)
from gateway.page.opened import OpenPage, ask, verdict

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
PHONE = {"width": 360, "height": 740}


def violations(page: Page) -> list[str]:
    """Return the serious and critical ones."""
    page.evaluate(AXE)
    results: dict[str, Any] = page.evaluate("axe.run()")
    return [
        f"{found['id']}: {node['target']} {node['failureSummary']}"
        for found in results["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]


def mixed(body: Json) -> Iterator[Json | Gate]:
    """One size streams, one waits, one has failed, until the gate opens."""
    first, second, third = body["models"]
    yield header(body)
    yield text(first, "## Title\n\n```python\nx = 1  # one\n```\n\n[link](https://a.example) $x^2$")
    yield status(second, "loading", progress=0.3)
    yield failure(third, "out of memory")
    yield Gate("end")
    for model in (first, second):
        yield finish(model, "| a | b |\n|---|---|\n| 1 | 2 |")
    yield summary([first, second])


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": PHONE}],
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing_serious(
    fake: FakeGateway, open_page: OpenPage, options: dict[str, Any]
) -> None:
    fake.script = mixed
    fake.sizes = [
        *fake.sizes,
        size("cold:1b", 1e9, "downloading", 0.5),
        size("bad:1b", 1e9, "failed"),
    ]
    page = open_page("?models=toy:0.5m,toy:2m,toy:5m", **options)
    expect(page.get_by_role("checkbox", name="toy:2m")).to_be_checked()
    page.get_by_role("button", name="Options").click()
    assert violations(page) == []
    ask(page)
    expect(page.get_by_role("article", name="toy:2m")).to_contain_text("Loading")
    expect(page.locator(".text .block .code")).to_be_visible()
    assert violations(page) == []
    fake.open("end")
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    page.get_by_role("article").first.get_by_role("button", name="good enough").click()
    assert violations(page) == []
    page.get_by_role("button", name="History").click()
    expect(page.get_by_role("dialog").get_by_role("listitem").first).to_be_visible()
    assert violations(page) == []


def test_a_phone_shows_everything_without_scrolling_sideways(
    fake: FakeGateway, open_page: OpenPage
) -> None:
    fake.script = answer_all("432")
    page = open_page(viewport=PHONE)
    ask(page)
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    wide: int = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]
    expect(page.get_by_role("button", name="Ask 3 sizes")).to_be_in_viewport()
    expect(page.get_by_role("heading", name="What is 47 + 385?")).to_be_in_viewport()


def test_a_phone_shows_the_whole_bar_with_a_key_and_the_names_of_votes(
    fake: FakeGateway, open_page: OpenPage
) -> None:
    fake.script = answer_all("432")
    page = open_page(viewport=PHONE)
    page.evaluate("sessionStorage.setItem('sizeup.key', 'k')")
    page.reload()
    ask(page)
    page.get_by_role("article", name="toy:2m").get_by_role("button", name="good enough").click()
    buttons = page.get_by_role("navigation").get_by_role("button")
    boxes = [box for one in buttons.all() if (box := one.bounding_box())]
    assert len(boxes) >= 5
    assert max(box["x"] + box["width"] for box in boxes) <= PHONE["width"]
    page.get_by_role("button", name="History").click()
    vote = page.locator(".votes li").first
    name, bar = vote.locator("b").bounding_box(), vote.locator(".bar").bounding_box()
    assert name is not None
    assert bar is not None
    shown: int = vote.locator("b").evaluate("one => one.scrollWidth")
    assert name["x"] + max(shown, name["width"]) <= bar["x"]


def focused(page: Page) -> str:
    name: str = page.evaluate(
        "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText)"
        ".trim()"
    )
    return name


def test_the_focus_walks_in_reading_order_and_is_seen(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_role("checkbox", name="toy:2m")).to_be_checked()
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    for _ in range(9):
        page.keyboard.press("Shift+Tab")
    order = [focused(page)]
    for _ in range(14):
        page.keyboard.press("Tab")
        order.append(focused(page).split(",")[0])
    assert order == [
        "Skip to the question", "History", "Keyboard", "中文", "Theme: System",
        "Select no size of toy", "toy:0.5m", "toy:2m", "toy:5m", "Question", "Options", "",
        "What is 47 + 385?", "Count from 3 to 9.",
        "Tom has a red ball. Ann has a blue cup. What does Ann have?",
    ]  # fmt: skip
    outline: str = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_everything_is_done_with_the_keyboard(fake: FakeGateway, open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_role("checkbox", name="toy:2m")).to_be_checked()
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    page.keyboard.type("Hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    assert fake.asked[0]["messages"][0]["content"] == "Hello\nagain"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("2")
    expect(page.get_by_role("article", name="toy:2m")).to_be_focused()
    page.keyboard.press("Tab")
    assert focused(page) == "toy:2m is good enough"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your vote: toy:2m is enough.")).to_be_visible()
    page.keyboard.press("h")
    expect(page.get_by_role("dialog")).to_contain_text("Hello")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_escape_stops_every_answer(fake: FakeGateway, open_page: OpenPage) -> None:
    def script(body: Json) -> Iterator[Json | Gate]:
        yield header(body)
        for model in body["models"]:
            yield text(model, "begun")
        yield Gate("never")

    fake.script = script
    page = open_page()
    expect(page.get_by_role("checkbox", name="toy:2m")).to_be_checked()
    page.keyboard.press("/")
    page.keyboard.type("Stop this")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="toy:5m").last).to_contain_text("begun")
    page.keyboard.press("Escape")
    expect(page.get_by_role("article", name="toy:5m").last).to_contain_text("Stopped")


def test_a_screen_reader_hears_ends_and_not_the_text(
    fake: FakeGateway, open_page: OpenPage
) -> None:
    def script(body: Json) -> Iterator[Json | Gate]:
        yield header(body)
        for _ in range(50):
            yield text("toy:2m", "chatter ")
        yield Gate("end")
        for model in body["models"]:
            yield finish(model, "chatter")
        yield summary(body["models"])

    fake.script = script
    page = open_page()
    page.evaluate(
        "window.said = []; new MutationObserver(() => window.said.push("
        "document.querySelector('[role=status]').textContent))"
        ".observe(document.querySelector('[role=status]'), {childList: true, characterData: true,"
        " subtree: true})"
    )
    ask(page)
    expect(page.get_by_role("article", name="toy:2m")).to_contain_text("chatter")
    fake.open("end")
    expect(page.get_by_role("status")).to_contain_text("The smallest size that says the same")
    said: list[str] = page.evaluate("window.said.filter((sentence) => sentence !== '')")
    assert said[0] == "Asked 3 sizes."
    assert len(said) <= 4
    assert not any("chatter" in sentence for sentence in said)


def test_chinese(fake: FakeGateway, open_page: OpenPage) -> None:
    page = open_page(locale="zh-CN")
    expect(page.get_by_role("heading", name="多大的模型才够用？")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_label("问题", exact=True).fill("47 加 385 等于多少？")
    page.get_by_role("button", name="询问 3 个规格").click()
    expect(verdict(page)).to_contain_text("与 toy:5m 回答相同的最小规格是 toy:0.5m")
    page.get_by_role("button", name="English").click()
    expect(verdict(page)).to_contain_text("The smallest size that says the same as toy:5m")
    page.reload()
    expect(page.get_by_role("heading", name="Which size is enough?")).to_be_visible()


def test_the_theme_is_the_systems_until_it_is_chosen(open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Theme: System").click()
    page.get_by_role("button", name="Theme: Light").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
