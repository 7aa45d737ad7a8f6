"""The page as a whole. Pure."""

from dataclasses import dataclass

from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.views import (
    ability,
    cost,
    load,
    pairs,
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
    banner: Banner | None
    verdict: VerdictView
    sections: tuple[Section, ...]


def view(results: Results) -> Page:
    started = results.started_at[:10]
    return Page(
        title=f"Which model size? {results.scenario}, {started}",
        subtitle=(
            f"{results.scenario or 'run'} against {results.target}, {started}, "
            f"{formatting.seconds(results.seconds)}, {len(results.models)} models, schedule "
        ),
        schedule=results.schedule_hash[:12],
        banner=validity.banner(results),
        verdict=verdict.view(results),
        sections=(
            verdict.picture(results),
            speed.section(results),
            load.section(results),
            pairs.section(results),
            load.breakdown_section(results),
            cost.section(results),
            ability.section(results),
            ability.samples(results),
            validity.section(results),
            reference.definitions(),
            reference.environment(results),
        ),
    )
