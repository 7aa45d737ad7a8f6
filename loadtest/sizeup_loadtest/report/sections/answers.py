"""What the sizes wrote to the same prompts, side by side. Nothing here is trusted."""

from sizeup_loadtest.data.results import Results, SampleAnswers
from sizeup_loadtest.report.markup import Markup, join, tag
from sizeup_loadtest.report.sections import ConfigSection, figure

_LONGEST = 4000
"""Characters of one answer that are shown; all of it is in the raw records."""


def section(results: Results) -> ConfigSection:
    """Return a card per prompt with every size's answer."""
    names = [model.name for model in results.models]
    cards = join(_card(one, names) for one in results.answers)
    return ConfigSection(
        "answers",
        "Answers side by side",
        "Answers",
        "The same prompt to every size, in the models' own words.",
        cards if results.answers else figure(None, "no answers were kept"),
    )


def _card(one: SampleAnswers, names: list[str]) -> Markup:
    order = [n for n in names if n in one.answers] + [n for n in one.answers if n not in names]
    found = (_answer(name, one.answers[name], names) for name in order)
    return tag(
        "article",
        tag("p", tag("b", "Prompt "), tag("bdi", _cut(one.prompt)), class_="prompt"),
        tag("div", *found, class_="answers", tabindex="0", role="group", aria_label="Answers"),
    )


def _answer(name: str, text: str, names: list[str]) -> Markup:
    colour = f"s{names.index(name)}" if name in names else None
    said = tag("p", _cut(text), dir="auto") if text.strip() else tag("p", "(empty)", class_="blank")
    return tag("div", tag("h4", name), said, class_=colour)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " … (cut)"
