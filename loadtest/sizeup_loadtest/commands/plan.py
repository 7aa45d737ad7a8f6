"""`sizeup-bench plan`."""

from typing import Annotated

import typer

from sizeup_loadtest.options import Models, Scenario, Url, read_config

Speed = Annotated[float, typer.Option(min=0.001, help="Tokens per second of one user to assume.")]


def command(
    scenario: Scenario = "size-sweep", url: Url = None, models: Models = None, tok_s: Speed = 30
) -> None:
    """Lay out the schedule, hash it and say how long a run would take; nothing is sent."""
    from rich.console import Console

    from sizeup_loadtest.execution import estimate
    from sizeup_loadtest.workload import prompts, schedule

    config = read_config(scenario, url, models)
    plan = schedule.compile_plan(config, prompts.source(config.prompts))
    console = Console()
    parts = estimate.parts(config, plan, tok_s)
    console.print(estimate.table(parts))
    console.print(estimate.planned(plan), soft_wrap=True)
    console.print(estimate.sentence(parts, tok_s, config), soft_wrap=True)
