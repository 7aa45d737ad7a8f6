"""`sizeup-bench plan`."""

from typing import Annotated

import typer

from sizeup_loadtest.options import Models, Scenario, Url, read_config

Speed = Annotated[float, typer.Option(min=0.001, help="Tokens per second of one user to assume.")]


def command(
    scenario: Scenario = "size-sweep", url: Url = None, models: Models = None, tok_s: Speed = 30
) -> None:
    """Lay out the schedule and hash it; nothing is sent."""
    from rich.console import Console

    from sizeup_loadtest import estimate, prompts, schedule

    config = read_config(scenario, url, models)
    plan = schedule.compile(config, prompts.source(config.prompts))
    console = Console()
    console.print(estimate.table(plan, tok_s))
    console.print(f"{plan.requests} requests, sha256 {plan.sha256}", soft_wrap=True)
    console.print(estimate.sentence(plan, tok_s, config.limits.max_minutes), soft_wrap=True)
