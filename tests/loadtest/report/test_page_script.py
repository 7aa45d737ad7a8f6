"""The script of the page, in a browser: it judges as Python does, and moves the whole page."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from gateway.page.chromium import browser
from loadtest import sample_results as sample
from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.data.results import ModelResult, Requirements, Results
from sizeup_loadtest.report import html

__all__ = ["browser"]

SEEN = """() => {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((one) => one.innerText);
  return {
    sentence: document.getElementById("sentence").textContent,
    recommended: document.querySelector("#sentence strong")?.textContent,
    passes: texts(".passes"),
    marks: texts(".mark"),
    limits: texts(".limit"),
    neighbours: texts(".neighbours:not([hidden])"),
    chosen: [...document.querySelectorAll(".chosen")].map((one) => one.classList[0] + one.tagName),
  };
}"""
SHADED = """() => [...document.querySelectorAll("svg .bounds")].map((group) => {
  const attributes = ["x", "y", "width", "height"];
  const rect = group.querySelector("rect");
  const pixels = attributes.map((key) => Math.round(rect.getAttribute(key)));
  return [getComputedStyle(group).visibility, ...pixels];
})"""
FILL = """(values) => {
  const form = document.getElementById("requirements");
  for (const input of form.querySelectorAll("input")) input.value = values[input.name] ?? "";
  form.dispatchEvent(new Event("input"));
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page without network; the test fails if it logs an error, as a blocked script does."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(error.message))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert problems == []


def show(page: Page, run: Results, folder: Path) -> None:
    file = folder / "report.html"
    file.write_text(html.render(run), encoding="utf-8")
    page.goto(file.as_uri())


def fill(page: Page, requirements: Requirements) -> None:
    """Type requirements into the form; the empty ones are cleared."""
    typed = {
        one.key: one.number(limit).replace(",", "") for one, limit in verdict.required(requirements)
    }
    page.evaluate(FILL, typed)


def judged(run: Results, requirements: Requirements) -> Results:
    """Return a run with other requirements."""
    decided = verdict.decide(run.models, requirements, run.ordered_by_size)
    return run.model_copy(update={"verdict": decided})


def random_run(chance: random.Random) -> Results:
    """Return a run of some models, some of them invalid or not fully measured."""
    models = tuple(
        model.model_copy(update={key: None for key in ("ability", "cost") if chance.random() < 0.15}
                         | {"invalid_reason": "failed" if chance.random() < 0.15 else None})
        for model in sample.results().models if chance.random() < 0.8
    )  # fmt: skip
    run = sample.results().model_copy(update={"ordered_by_size": chance.random() < 0.7})
    return run.model_copy(update={"models": models or run.models[:1]})


def random_requirements(chance: random.Random, models: Sequence[ModelResult]) -> Requirements:
    """Return limits near measured values, of what some model was measured for."""
    limits: dict[str, float] = {}
    for one in verdict.REQUIREMENTS.values():
        values = [seen.value for model in models if (seen := one.measured(model))]
        if values and chance.random() < 0.4:
            near = chance.choice(values) * chance.uniform(0.9, 1.1)
            limits[one.key] = min(1.0, round(near, 2)) if one.scale == 100 else round(near, 2)
    return Requirements.model_validate(limits)


@pytest.mark.parametrize("seed", range(8))
def test_the_script_judges_as_python_does(page: Page, tmp_path: Path, seed: int) -> None:
    """A page moved to other requirements is the page of a run with those requirements."""
    chance = random.Random(seed)
    run = random_run(chance)
    for _ in range(3):
        before, after = (random_requirements(chance, run.models) for _ in range(2))
        show(page, judged(run, after), tmp_path)
        expected = page.evaluate(SEEN)
        show(page, judged(run, before), tmp_path)
        fill(page, after)
        assert page.evaluate(SEEN) == expected


def test_moving_the_ability_moves_sentence_marks_and_charts(page: Page, tmp_path: Path) -> None:
    run = sample.results(Requirements(ability=0.6, tok_s_user=20))
    show(page, run, tmp_path)
    first, shaded = page.evaluate(SEEN), page.evaluate(SHADED)
    fill(page, Requirements(ability=0.7, tok_s_user=20))
    second, moved = page.evaluate(SEEN), page.evaluate(SHADED)
    assert (first["recommended"], second["recommended"]) == ("qwen2.5:7b", "qwen2.5:14b")
    assert "60" in first["sentence"]
    assert "70" in second["sentence"]
    assert first["marks"] != second["marks"]
    assert first["neighbours"] != second["neighbours"]
    show(page, judged(run, Requirements(ability=0.7, tok_s_user=20)), tmp_path)
    assert moved == page.evaluate(SHADED) != shaded


def test_without_requirements_nothing_passes_and_nothing_is_shaded(
    page: Page, tmp_path: Path
) -> None:
    show(page, sample.results(), tmp_path)
    fill(page, Requirements())
    seen = page.evaluate(SEEN)
    sentence = verdict.without_requirements(sample.results().models)
    assert seen["sentence"].replace("\u00a0", " ") == sentence
    assert not any(seen["marks"])
    assert not any("✓" in text for text in seen["passes"])
    assert {shaded[0] for shaded in page.evaluate(SHADED)} == {"hidden"}


@pytest.mark.parametrize("width", [390, 718, 1200])
def test_the_page_does_not_scroll_sideways(page: Page, tmp_path: Path, width: int) -> None:
    long = sample.SIZES[0].__class__(
        "Qwen/Qwen2.5-7B-Instruct-of-a-very-long-name", 7e9, 28, 0.7, 1, 90
    )
    show(page, sample.results(sizes=(*sample.SIZES, long)), tmp_path)
    page.set_viewport_size({"width": width, "height": 900})
    if width == 718:  # of A4 in print
        page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def rules(rendered: str) -> Mapping[str, object]:
    start = rendered.index('id="rules">') + len('id="rules">')
    found: Mapping[str, object] = json.loads(rendered[start : rendered.index("</script>", start)])
    return found


def test_the_rules_of_the_script_are_those_of_python() -> None:
    found = rules(html.render(sample.results()))
    assert isinstance(found["requirements"], list)
    assert [one["key"] for one in found["requirements"]] == list(Requirements.model_fields)
