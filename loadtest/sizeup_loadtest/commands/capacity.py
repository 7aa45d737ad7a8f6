"""`sizeup-bench capacity`."""

from typing import Annotated

import typer

from sizeup_loadtest.config.schema import Mode
from sizeup_loadtest.options import (
    Models,
    Out,
    Scenario,
    ShardOptions,
    Url,
    out_folder,
    read_config,
)

Loop = Annotated[Mode | None, typer.Option(help="closed: streams at once; open: requests/s.")]


def command(
    scenario: Scenario = "size-sweep",
    url: Url = None,
    models: Models = None,
    mode: Loop = None,
    out: Out = None,
) -> None:
    """Find the largest load each size carries within the objective."""
    from sizeup_loadtest.execution.start import start

    config = read_config(scenario, url, models)
    asked = config.capacity.model_copy(
        update={"enabled": True, "mode": mode or config.capacity.mode}
    )
    config = config.model_copy(update={"capacity": asked})
    start(config, out_folder(out, config), ShardOptions(), {"warm_up", "capacity"})
