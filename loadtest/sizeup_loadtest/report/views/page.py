"""The page as a whole. Pure."""

from dataclasses import dataclass

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.views import (
    ability,
    load,
    pairs,
    picture,
    reference,
    speed,
    validity,
    verdict,
)
from sizeup_loadtest.report.views.blocks import Section
from sizeup_loadtest.report.views.validity import Banner
from sizeup_loadtest.report.views.verdict import VerdictView


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows."""

    title: str
    subtitle: str
    schedule: str
    banners: tuple[Banner, ...]
    verdict: VerdictView
    sections: tuple[Section, ...]


def view(results: Results) -> Page:
    started = results.started_at[:10]
    return Page(
        title=f"Which model size? {results.scenario}, {started}",
        subtitle=(
            f"{results.scenario or 'run'} against {results.target}, {started}, "
            f"{formatting.seconds(results.seconds)}, {_count(results)}, schedule "
        ),
        schedule=results.schedule_hash[:12],
        banners=tuple(validity.banners(results)),
        verdict=verdict.view(results),
        sections=tuple(section for section in _sections(results) if section is not None),
    )


def _count(results: Results) -> str:
    count = len(results.models)
    return f"{count} model{'' if count == 1 else 's'}"


def _sections(results: Results) -> tuple[Section | None, ...]:
    return (
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
