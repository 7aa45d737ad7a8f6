"""`sizeup-bench ability`."""

from typing import Annotated

import typer

from sizeup_loadtest.options import (
    Models,
    Out,
    Scenario,
    ShardOptions,
    Url,
    out_folder,
    read_config,
)

Items = Annotated[
    int | None, typer.Option(min=1, help="Questions in all, in place of the config's.")
]


def command(
    scenario: Scenario = "size-sweep",
    url: Url = None,
    models: Models = None,
    items: Items = None,
    out: Out = None,
) -> None:
    """Ask every size questions with one right answer; lm-eval's suites where they are enabled."""
    from sizeup_loadtest.execution.start import start

    config = read_config(scenario, url, models)
    asked = config.ability.model_copy(
        update={"enabled": True, "items": items or config.ability.items}
    )
    config = config.model_copy(update={"ability": asked})
    start(
        config,
        out_folder(out, config),
        ShardOptions(),
        {"suites_there", "warm_up", "ability", "suites"},
    )
