"""`sizeup-bench check`."""

from pathlib import Path
from typing import Annotated

import typer

Candidate = Annotated[Path, typer.Argument(help="Folder of the run to judge, or its results.json.")]
Baseline = Annotated[Path, typer.Option(help="The run to judge it by.")]
Share = Annotated[float, typer.Option(min=0, max=10, help="0.05 is 5 % slower.")]
Loss = Annotated[float, typer.Option(min=0, max=1, help="0.05 is 5 % less.")]
Points = Annotated[float, typer.Option(min=0, max=1, help="0.05 is 5 points less.")]
Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML here.")]
Markdown = Annotated[Path | None, typer.Option(help="Write Markdown here, as well as printing it.")]
Any = Annotated[bool, typer.Option("--any-schedule", help="Judge runs whose requests differ too.")]


def command(
    candidate: Candidate,
    baseline: Baseline,
    max_slowdown: Share = 0.05,
    max_throughput_loss: Loss = 0.05,
    max_ability_loss: Points = 0.0,
    max_attainment_loss: Points = 0.02,
    junit: Junit = None,
    markdown: Markdown = None,
    any_schedule: Any = False,
) -> None:
    """Fail (exit code 1) only where an interval excludes the change that is allowed."""
    from sizeup_loadtest import check, compare, reading

    before, after = reading.results(baseline), reading.results(candidate)
    allowed = check.Allowed(
        max_slowdown, max_throughput_loss, max_ability_loss, max_attainment_loss
    )
    compared = compare.runs(before, after, reading.events(baseline, candidate))
    gate = check.judge(compared, allowed, any_schedule=any_schedule)
    text = check.markdown(gate)
    if junit is not None:
        reading.write(junit, check.junit(gate))
    if markdown is not None:
        reading.write(markdown, text)
    typer.echo(text, nl=False)
    if not gate.passes:
        raise typer.Exit(1)
