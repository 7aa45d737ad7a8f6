"""`sizeup-bench speed`."""

from sizeup_loadtest.options import (
    Models,
    Out,
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
    scenario: Scenario = "smoke",
    url: Url = None,
    models: Models = None,
    out: Out = None,
    shards: Shards = 1,
    shard: ShardIndex = None,
    start_at: StartAt = None,
) -> None:
    """Measure how fast every size answers under the config's loads."""
    from sizeup_loadtest.execution.start import start

    config = read_config(scenario, url, models)
    together = ShardOptions(to_shard(shards, shard), start_at)
    start(config, out_folder(out, config), together, {"warm_up", "speed"})
