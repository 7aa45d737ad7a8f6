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
        banners=tuple(validity.banners(results)),
        verdict=verdict.view(results),
        sections=tuple(section for section in sections if section is not None),
    )
