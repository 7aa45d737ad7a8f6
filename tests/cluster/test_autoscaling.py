"""A model is scaled by its load from one to three replicas and back, by two gateways."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from cluster.load import CLIENTS, during
from cluster.polling import wait_for
from cluster.release import CHART, NAME, Release

KEY = "loaded"
MODEL = "Qwen/Qwen1.5-0.5B-Chat"
MOST = 3
_TARGET = 2
"""Eight clients, whose requests are nearly always running, require four replicas: one more than
there may be. One client requires one, also while its last request ends as the next one begins."""
_KEEP_ALIVE_SECONDS = 20
_TOKEN_SECONDS = "0.05"
"""Responses of 0.3 and 8 seconds: long beside the time between two requests of a client."""
_SCALED_SECONDS = 180.0
"""The window of the mean load, the keep-alive time, then pods that start or drain on two cores."""


@pytest.fixture(scope="module")
def release(new_release: Callable[[str], Release]) -> Release:
    made = new_release("autoscaling")
    model = {
        "id": MODEL,
        "engine": "fake",
        "autoscaling": {"maxReplicas": MOST, "targetRequests": _TARGET},
        "scaleToZero": {"keepAlive": f"{_KEEP_ALIVE_SECONDS}s"},
        "env": [{"name": "SIZEUP_INFERENCE_FAKE_TOKEN_SECONDS", "value": _TOKEN_SECONDS}],
    }
    made.install({"models": {KEY: model}})
    made.wait()
    return made


def _wait_scaled(release: Release, replicas: int) -> None:
    """Wait until this many replicas are ready and no other is left."""

    def is_scaled() -> bool:
        status = release.kubectl.get(f"deployment/sizeup-{KEY}")["status"]
        ready = status.get("readyReplicas", 0) == replicas == len(release.pods(KEY))
        return release.replicas(KEY) == replicas and ready

    wait_for(is_scaled, f"{replicas} replicas", _SCALED_SECONDS)


def _generation(release: Release) -> int:
    """Return the Deployment's generation, which counts changes of its scale."""
    return int(release.kubectl.get(f"deployment/sizeup-{KEY}")["metadata"]["generation"])


@pytest.mark.parametrize(
    ("replicas", "clients", "requests"), [(MOST, CLIENTS, 500), (1, 1, 30)], ids=["out", "in"]
)
def test_scaling_under_load_loses_no_request(
    release: Release, replicas: int, clients: int, requests: int
) -> None:
    before = _generation(release)
    change = partial(_wait_scaled, release, replicas)
    tally = asyncio.run(during(release.url, [MODEL], change, requests, clients))
    assert release.replicas(KEY) == replicas
    assert 1 <= _generation(release) - before <= MOST - 1, "in one direction only"
    assert tally.lost == []
    assert tally.completed >= requests


def test_an_upgrade_keeps_the_scale(release: Release) -> None:
    def upgrade() -> None:
        _wait_scaled(release, MOST)
        before = _generation(release)
        release.helm("upgrade", NAME, str(CHART), "--reuse-values")
        assert (release.replicas(KEY), _generation(release)) == (MOST, before)

    tally = asyncio.run(during(release.url, [MODEL], upgrade, 1))
    assert tally.lost == []
