"""Answers that stream side by side, and how they end."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

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

SMALL, MEDIUM, LARGE = "toy:0.5m", "toy:2m", "toy:5m"


def test_answers_are_seen_in_columns_while_the_stream_is_open(
    fake: FakeGateway, open_page: OpenPage
) -> None:
    def script(body: Json) -> Iterator[Json | Gate]:
        yield header(body)
        for model in body["models"]:
            yield text(model, f"first of {model}")
        yield Gate("second")
        for model in body["models"]:
            yield text(model, ", and second")
        yield Gate("end")
        for model in body["models"]:
            yield finish(model, f"first of {model}, and second")
        yield summary(body["models"])

    fake.script = script
    page = open_page()
    ask(page)
    for model in (SMALL, MEDIUM, LARGE):
        expect(page.get_by_role("article", name=model)).to_contain_text(f"first of {model}")
    expect(verdict(page)).to_have_text("0 of 3 answered")
    fake.open("second")
    for model in (SMALL, MEDIUM, LARGE):
        answer = page.get_by_role("article", name=model)
        expect(answer).to_contain_text(f"first of {model}, and second")
        expect(answer).to_have_attribute("aria-busy", "true")
    fake.open("end")
    expect(verdict(page)).to_contain_text("The smallest size that says the same as")
    expect(page.get_by_role("table", name="Figures").get_by_role("row")).to_have_count(4)
    assert fake.asked[0]["models"] == [SMALL, MEDIUM, LARGE]
    assert fake.asked[0]["messages"] == [{"role": "user", "content": "What is 47 + 385?"}]


def test_code_that_grows_has_its_language_and_is_copied_as_far_as_it_goes(
    fake: FakeGateway, open_page: OpenPage
) -> None:
    def script(body: Json) -> Iterator[Json | Gate]:
        yield header(body)
        yield text(SMALL, "```")
        yield Gate("language")
        yield text(SMALL, "python\nx = 1")
        yield Gate("more")
        yield text(SMALL, " + 1\n")
        yield Gate("never")

    fake.script = script
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page)
    code = page.get_by_role("article", name=SMALL).locator(".code")
    expect(code).to_have_text("Copy")
    fake.open("language")
    expect(code).to_have_text("pythonCopyx = 1")
    fake.open("more")
    expect(code).to_have_text("pythonCopyx = 1 + 1\n")
    code.get_by_role("button").click()
    expect(code).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "x = 1 + 1\n"


@pytest.mark.parametrize("knows_stop", [True, False])
def test_one_size_is_stopped_while_the_others_go_on(
    fake: FakeGateway, open_page: OpenPage, knows_stop: bool
) -> None:
    def script(body: Json) -> Iterator[Json | Gate]:
        yield header(body)
        for model in body["models"]:
            yield text(model, "begun")
        yield Gate(f"stop {MEDIUM}")
        if knows_stop:
            yield finish(MEDIUM, "begun", reason="cancelled")
        yield Gate("end")
        yield text(MEDIUM, " and dropped")
        for model in (SMALL, LARGE):
            yield finish(model, "begun and ended")
        yield summary([SMALL, LARGE])

    fake.script, fake.knows_stop = script, knows_stop
    page = open_page()
    ask(page)
    page.get_by_role("button", name=f"Stop {MEDIUM}").click()
    expect(page.get_by_role("article", name=MEDIUM)).to_contain_text("Stopped")
    assert fake.stopped == [{"id": "cmp-1", "model": MEDIUM}]
    fake.open("end")
    expect(page.get_by_role("article", name=LARGE)).to_contain_text("begun and ended")
    expect(page.get_by_role("article", name=MEDIUM)).not_to_contain_text("dropped")


def test_stopping_all_closes_the_stream(fake: FakeGateway, open_page: OpenPage) -> None:
    def script(body: Json) -> Iterator[Json | Gate]:
        yield header(body)
        for model in body["models"]:
            yield text(model, "begun")
        yield Gate("never")

    fake.script = script
    page = open_page()
    ask(page)
    expect(page.get_by_role("article", name=SMALL)).to_contain_text("begun")
    page.get_by_role("button", name="Stop all").click()
    for model in (SMALL, MEDIUM, LARGE):
        expect(page.get_by_role("article", name=model)).to_contain_text("Stopped")
    assert fake.closed.wait(10)
    expect(page.get_by_role("button", name="Ask 3 sizes")).to_be_visible()


def test_a_dead_size_shows_its_error_while_others_finish(
    fake: FakeGateway, open_page: OpenPage
) -> None:
    def script(body: Json) -> Iterator[Json]:
        yield header(body)
        yield failure(MEDIUM, "model 'toy:2m' has failed, and is started again in 30 s")
        for model in (SMALL, LARGE):
            yield finish(model, "432")
        yield summary([SMALL, LARGE], failed=1)

    fake.script = script
    page = open_page()
    ask(page)
    dead = page.get_by_role("article", name=MEDIUM)
    expect(dead).to_contain_text("has failed, and is started again in 30 s")
    expect(dead).to_contain_text("not_ready")
    expect(page.get_by_role("article", name=LARGE)).to_contain_text("432")
    expect(verdict(page)).to_contain_text("The smallest size that says the same as")


def test_a_cold_size_shows_what_it_waits_for(fake: FakeGateway, open_page: OpenPage) -> None:
    def script(body: Json) -> Iterator[Json | Gate]:
        yield header(body)
        yield status("a:2b", "downloading", progress=0.42)
        yield Gate("loaded")
        yield status("a:2b", "loading", progress=0.9)
        yield Gate("ready")
        yield status("a:2b", "generating", prompt_tokens=31)
        yield Gate("end")
        yield finish("a:2b", "4", total_seconds=4.0, load_seconds=3.0, ttft_seconds=3.2)
        yield finish("a:1b", "4")
        yield summary(body["models"])

    fake.sizes = [size("a:1b", 1e9), size("a:2b", 2e9, "unloaded", 0.4)]
    fake.script = script
    page = open_page()
    expect(page.get_by_role("checkbox", name="a:2b")).to_have_accessible_name(
        "a:2b, 2 B parameters, starts when asked, 40 %"
    )
    ask(page)
    cold = page.get_by_role("article", name="a:2b")
    expect(cold).to_contain_text("Downloading 42 %")
    expect(cold.get_by_role("progressbar")).to_have_attribute("value", "0.42")
    fake.open("loaded")
    expect(cold).to_contain_text("Loading the weights 90 %")
    fake.open("ready")
    expect(cold).to_contain_text("Reading the prompt, 31 tokens")
    fake.open("end")
    expect(page.get_by_role("img", name="a:2b: ")).to_have_accessible_name(
        "a:2b: queue 50.0 ms, load 3.00 s, prefill 150 ms, decode 800 ms; 4.00 s in all"
    )


def test_twelve_sizes_with_samples(fake: FakeGateway, open_page: OpenPage) -> None:
    def script(body: Json) -> Iterator[Json]:
        yield header(body)
        for model in body["models"]:
            for sample in range(body["samples"]):
                yield finish(model, f"{model} says {sample}", sample=sample)
        yield summary(body["models"])

    fake.sizes = [size(f"many:{n}b", n * 1e9) for n in range(1, 13)]
    fake.script = script
    page = open_page("?models=" + ",".join(s["model"] for s in fake.sizes))
    page.get_by_role("button", name="Options").click()
    page.get_by_label("Samples per size").fill("3")
    page.get_by_label("Temperature").fill("0.7")
    page.get_by_label("One at a time").check()
    ask(page)
    expect(page.get_by_role("article")).to_have_count(12)
    expect(page.get_by_role("article", name="many:12b")).to_contain_text("many:12b says 2")
    expect(page.get_by_text("Medians of 3 samples")).to_be_visible()
    asked = fake.asked[0]
    assert (asked["samples"], asked["one_at_a_time"]) == (3, True)
    assert asked["options"] == {"temperature": 0.7}


def test_a_stream_that_breaks_keeps_what_came(fake: FakeGateway, open_page: OpenPage) -> None:
    def script(body: Json) -> Iterator[Json]:
        yield header(body)
        yield finish(SMALL, "complete")
        yield text(LARGE, "incomplete")

    fake.script = script
    page = open_page()
    ask(page)
    expect(verdict(page)).to_have_text("The connection to the gateway was lost.")
    expect(page.get_by_role("article", name=SMALL)).to_contain_text("complete")
    expect(page.get_by_role("article", name=LARGE)).to_contain_text("incomplete")
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("article", name=SMALL)).to_contain_text("complete")


def test_a_question_is_asked_again_and_edited(fake: FakeGateway, open_page: OpenPage) -> None:
    fake.script = answer_all("432")
    page = open_page()
    ask(page, "What is 1 + 1?")
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    page.get_by_role("button", name="Edit the question").click()
    editor = page.get_by_label("Edit the question")
    editor.fill("What is 2 + 2?")
    editor.press("Enter")
    expect(page.get_by_role("heading", name="What is 2 + 2?")).to_be_visible()
    expect(page.get_by_role("table", name="Figures")).to_have_count(1)
    questions = [body["messages"][0]["content"] for body in fake.asked]
    assert questions == ["What is 1 + 1?", "What is 1 + 1?", "What is 2 + 2?"]
