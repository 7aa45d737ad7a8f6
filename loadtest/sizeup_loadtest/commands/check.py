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
    from sizeup_loadtest.analysis import compare, regression_gate
    from sizeup_loadtest.storage import read_run

    before, after = read_run.results(baseline), read_run.results(candidate)
    allowed = regression_gate.Allowed(
        max_slowdown, max_throughput_loss, max_ability_loss, max_attainment_loss
    )
    compared = compare.runs(before, after, read_run.events(baseline, candidate))
    gate = regression_gate.judge(compared, allowed, any_schedule=any_schedule)
    text = regression_gate.markdown(gate)
    if junit is not None:
        read_run.write(junit, regression_gate.junit(gate))
    if markdown is not None:
        read_run.write(markdown, text)
    typer.echo(text, nl=False)
    if not gate.passes:
        raise typer.Exit(1)
