"""Conversations, links, history, votes and API keys."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gateway.page.fake_gateway import FakeGateway, Json, answer_all, finish, header, summary
from gateway.page.opened import OpenPage, ask, verdict

SMALL, MEDIUM, LARGE = "toy:0.5m", "toy:2m", "toy:5m"


def test_a_conversation_forks_per_size(fake: FakeGateway, open_page: OpenPage) -> None:
    fake.script = answer_all("431", "432", same=[MEDIUM, LARGE])
    page = open_page()
    ask(page, "What is 47 + 385?")
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    ask(page, "Are you sure?")
    expect(page.get_by_role("table", name="Figures")).to_have_count(2)
    asked = fake.asked[1]
    assert asked["messages"] == [{"role": "user", "content": "Are you sure?"}]
    question = {"role": "user", "content": "What is 47 + 385?"}
    assert asked["history"] == {
        SMALL: [question, {"role": "assistant", "content": "431"}],
        MEDIUM: [question, {"role": "assistant", "content": "432"}],
        LARGE: [question, {"role": "assistant", "content": "432"}],
    }
    page.get_by_role("button", name="New").click()
    expect(page.get_by_role("heading", name="Which size is enough?")).to_be_visible()
    ask(page, "Hello")
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    assert "history" not in fake.asked[2]


def test_the_smallest_size_that_agrees_is_named(fake: FakeGateway, open_page: OpenPage) -> None:
    fake.script = answer_all("431", "432", same=[MEDIUM, LARGE])
    page = open_page()
    ask(page)
    sentence = "The smallest size that says the same as toy:5m is toy:2m, 2 × as fast."
    expect(verdict(page)).to_have_text(sentence)
    expect(page.get_by_role("article", name=MEDIUM)).to_contain_text("same as toy:5m")
    expect(page.get_by_role("article", name=SMALL)).not_to_contain_text("same as")
    expect(page.get_by_text("Up to 2 sizes shared the machine")).to_be_visible()
    row = page.get_by_role("table", name="Figures").get_by_role("row", name=MEDIUM)
    expect(row).to_contain_text("1.00 s")
    expect(row).to_contain_text("66 %")
    expect(row).to_contain_text("✓")


def test_a_link_fills_in_and_asks_nothing(fake: FakeGateway, open_page: OpenPage) -> None:
    page = open_page(
        f"?models={LARGE},{SMALL},gone:1b&prompt=1%20%2B%201%3F&temperature=0&samples=2"
    )
    expect(page.get_by_label("Question", exact=True)).to_have_value("1 + 1?")
    expect(page.get_by_role("checkbox", name=LARGE)).to_be_checked()
    expect(page.get_by_role("checkbox", name=MEDIUM)).not_to_be_checked()
    expect(page.get_by_text("Not served here: gone:1b")).to_be_visible()
    expect(page.get_by_role("button", name="Ask 2 sizes")).to_be_enabled()
    assert fake.asked == []
    page.get_by_role("button", name="Ask 2 sizes").click()
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    assert fake.asked[0]["models"] == [SMALL, LARGE]
    assert fake.asked[0]["options"] == {"temperature": 0}
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    link: str = page.evaluate("navigator.clipboard.readText()")
    query = f"models={SMALL},{LARGE}&prompt=1%20%2B%201%3F&temperature=0&samples=2"
    assert link == f"{fake.url}?{query}"


def test_a_link_is_copied_on_plain_http(fake: FakeGateway, open_page: OpenPage) -> None:
    page = open_page()
    # As browsers do for pages that are neither from localhost nor from HTTPS.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    ask(page, "1 + 1?")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_focused()
    field = page.get_by_label("Question", exact=True)
    field.press("ControlOrMeta+v")
    expect(field).to_have_value(f"{fake.url}?models={SMALL},{MEDIUM},{LARGE}&prompt=1%20%2B%201%3F")


def test_comparisons_are_kept_opened_and_deleted(fake: FakeGateway, open_page: OpenPage) -> None:
    fake.script = answer_all("431", "432", same=[MEDIUM, LARGE])
    page = open_page()
    for question in ("First question", "Second question"):
        ask(page, question)
        expect(page.get_by_role("table", name="Figures")).to_be_visible()
        page.get_by_role("button", name="New").click()
    page.reload()
    page.get_by_role("button", name="History").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    dialog.get_by_role("button", name="First question").first.click()
    expect(page.get_by_role("heading", name="First question")).to_be_visible()
    expect(page.get_by_role("article", name=SMALL)).to_contain_text("431")
    expect(verdict(page)).to_contain_text("The smallest size that says the same")
    ask(page, "And then?")
    expect(page.get_by_role("table", name="Figures")).to_have_count(2)
    assert len(fake.asked[-1]["history"][SMALL]) == 2
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Delete: Second question").click()
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name="Delete all").click()
    expect(dialog).to_contain_text("Nothing yet.")


def test_votes_are_kept_and_exported(
    fake: FakeGateway, open_page: OpenPage, tmp_path: Path
) -> None:
    fake.script = answer_all("=cmd()", "432", same=[MEDIUM, LARGE])
    page = open_page()
    ask(page, "=1+1")
    vote = page.get_by_role("article", name=MEDIUM).get_by_role("button", name="good enough")
    vote.click()
    expect(vote).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as table:
        page.get_by_role("button", name="Table as CSV").click()
    table.value.save_as(tmp_path / "table.csv")
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text("utf-8-sig").splitlines()))
    assert [row["model"] for row in rows] == [SMALL, MEDIUM, LARGE]
    assert [row["good_enough"] for row in rows] == ["false", "true", "false"]
    assert [row["same_as_largest"] for row in rows] == ["false", "true", "true"]
    assert (rows[0]["question"], rows[0]["text"]) == ("'=1+1", "'=cmd()")
    page.reload()
    page.get_by_role("button", name="History").click()
    expect(page.get_by_role("dialog")).to_contain_text("good enough in 1 of 1")
    with page.expect_download() as votes:
        page.get_by_role("button", name="Votes as CSV").click()
    votes.value.save_as(tmp_path / "votes.csv")
    kept = list(csv.DictReader((tmp_path / "votes.csv").read_text("utf-8-sig").splitlines()))
    assert [row["good_enough"] for row in kept] == ["false", "true", "false"]


def test_a_key_is_asked_for_and_kept_in_the_session(fake: FakeGateway, open_page: OpenPage) -> None:
    fake.key = "sesame"
    page = open_page()
    dialog = page.get_by_role("dialog", name="This gateway asks for an API key")
    expect(dialog.get_by_label("API key")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Try again").click()
    dialog.get_by_label("API key").fill("wrong")
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_contain_text("The gateway does not accept this key.")
    dialog.get_by_label("API key").fill("sesame")
    dialog.get_by_label("API key").press("Enter")
    expect(page.get_by_role("checkbox", name=SMALL)).to_be_checked()
    ask(page)
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    stored: str = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    local, session = json.loads(stored)
    assert "sesame" not in json.dumps(local)
    assert "sesame" in session.values()
    fake.key = "changed"
    ask(page, "Again?")
    expect(dialog).to_contain_text("The gateway does not accept this key.")
    dialog.get_by_label("API key").fill("changed")
    dialog.get_by_label("API key").press("Enter")
    expect(page.get_by_role("table", name="Figures")).to_have_count(2)
    page.get_by_role("button", name="Forget API key").click()
    assert page.evaluate("sessionStorage.length") == 0


def test_figures_are_made_again_one_at_a_time(fake: FakeGateway, open_page: OpenPage) -> None:
    page = open_page()
    ask(page)
    page.get_by_role("button", name="Ask one at a time").click()
    expect(page.get_by_label("One at a time")).to_be_checked()
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    assert [body.get("one_at_a_time") for body in fake.asked] == [None, True]


def test_an_error_before_the_stream_is_shown(fake: FakeGateway, open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_role("checkbox", name=SMALL)).to_be_checked()
    page.route(
        "**/api/compare", lambda route: route.fulfill(status=503, json={"error": "draining"})
    )
    ask(page)
    expect(verdict(page)).to_have_text("draining")


def test_a_gateway_without_sizes_says_so(fake: FakeGateway, open_page: OpenPage) -> None:
    fake.sizes = []
    page = open_page()
    expect(page.get_by_text("This gateway serves no model yet.")).to_be_visible()


@pytest.mark.parametrize("prefix", ["/a/b"])
def test_the_page_works_below_a_path(fake: FakeGateway, open_page: OpenPage, prefix: str) -> None:
    fake.prefix = prefix
    fake.url = fake.url.removesuffix("/") + prefix + "/"
    page = open_page()
    ask(page)
    expect(page.get_by_role("table", name="Figures")).to_be_visible()


def test_thoughts_costs_and_cut_answers(fake: FakeGateway, open_page: OpenPage) -> None:
    def script(body: Json) -> Iterator[Json]:
        yield header(body)
        for model in body["models"]:
            cost = {"amount": 0.000123, "currency": "USD"}
            ended = finish(model, "432", reason="length", cost=cost)
            yield ended | {"thinking": "First the ones, then the tens."}
        yield summary(body["models"])

    fake.script = script
    page = open_page()
    ask(page)
    answer = page.get_by_role("article", name=SMALL)
    expect(answer).to_contain_text("Cut at the maximum length")
    answer.get_by_text("Thoughts").click()
    expect(answer.get_by_text("First the ones")).to_be_visible()
    expect(page.get_by_role("row", name=SMALL)).to_contain_text("$0.00012")
