"""`sizeup-bench run`."""

from sizeup_loadtest.options import (
    Models,
    Out,
    PrintFiles,
    Scenario,
    ShardIndex,
    ShardOptions,
    Shards,
    StartAt,
    Url,
    out_folder,
    read_config,
    to_shard,
)


def command(
    scenario: Scenario = "size-sweep",
    url: Url = None,
    models: Models = None,
    out: Out = None,
    shards: Shards = 1,
    shard: ShardIndex = None,
    start_at: StartAt = None,
    print_files: PrintFiles = False,
) -> None:
    """Measure everything the config enables, and report it."""
    from sizeup_loadtest.execution.start import start

    config = read_config(scenario, url, models)
    together = ShardOptions(to_shard(shards, shard), start_at, print_files)
    start(config, out_folder(out, config), together)
