"""Rolling restarts under load lose no request: of the gateway, and of a model with two replicas."""

import asyncio
from collections.abc import Callable

import pytest

from cluster.load import during
from cluster.release import Release

MODEL = "Qwen/Qwen1.5-0.5B-Chat"
REQUESTS = 500
_ROLLOUT_SECONDS = 300.0


@pytest.fixture(scope="module")
def release(new_release: Callable[[str], Release]) -> Release:
    made = new_release("rollouts")
    made.install({"models": {"small": {"id": MODEL, "engine": "fake", "replicas": 2}}})
    made.wait()
    return made


@pytest.mark.parametrize("component", ["gateway", "small"])
def test_rolling_restart_under_load_loses_no_request(release: Release, component: str) -> None:
    before = release.uids()
    deployment = f"deployment/sizeup-{component}"

    def restart() -> None:
        release.kubectl("rollout", "restart", deployment)
        release.kubectl.rolled_out(deployment, _ROLLOUT_SECONDS)
        release.wait_terminated()

    tally = asyncio.run(during(release.url, [MODEL], restart, REQUESTS))
    replaced = set(before.values()) - set(release.uids().values())
    assert len(replaced) == 2, "both pods are replaced"
    assert tally.lost == []
    assert tally.completed >= REQUESTS
    assert min(tally.overlapped.values()) > 0, tally.overlapped
