"""The page as a whole. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sizeup_loadtest import formatting
from sizeup_loadtest.analysis.verdict import Requirement
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.views import (
    ability,
    cards,
    commands,
    load,
    pairs,
    picture,
    reference,
    speed,
    validity,
)
from sizeup_loadtest.report.views.blocks import Missing, Section
from sizeup_loadtest.report.views.cards import Card
from sizeup_loadtest.report.views.validity import Banner


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows."""

    title: str
    subtitle: str
    schedule: str
    banners: Sequence[Banner]
    sentence: tuple[str, str | None, str]
    """The verdict: the name of the recommended model between the parts around it."""
    controls: Sequence[tuple[Requirement, str]]
    cards: Sequence[Card]
    missing: Sequence[Missing]
    sections: Sequence[Section]
    rules: Mapping[str, object]
    """What the script needs to apply other requirements."""


def view(results: Results) -> Page:
    started, count = results.started_at[:10], len(results.models)
    sections = (
        picture.section(results),
        load.section(results),
        speed.section(results),
        pairs.section(results),
        ability.section(results),
        ability.samples(results),
        validity.section(results),
        reference.definitions(),
        reference.environment(results),
    )
    return Page(
        title=f"Which model size? {results.scenario}, {started}",
        subtitle=(
            f"{results.scenario or 'run'} against {results.target}, {started}, "
            f"{formatting.seconds(results.seconds)}, {count} model{'' if count == 1 else 's'}, "
            "schedule "
        ),
        schedule=results.schedule_hash[:12],
        banners=list(validity.banners(results)),
        sentence=cards.sentence(results),
        controls=cards.controls(results),
        cards=[cards.card(results, i) for i in range(count)],
        missing=commands.all_missing(results),
        sections=[section for section in sections if section is not None],
        rules=cards.rules(results),
    )
