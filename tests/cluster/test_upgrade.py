"""From the chart as it was published before to the one of this checkout, while people ask."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.kubectl import Json
from cluster.load import during
from cluster.release import Release

MODEL = "Qwen/Qwen1.5-0.5B-Chat"
REQUESTS = 200
_PREVIOUS = Path(__file__).parent / "previous"
"""The package of one chart: made by `helm package charts/sizeup` when it is published."""


@pytest.fixture
def release(new_release: Callable[[str], Release]) -> Release:
    [package] = _PREVIOUS.glob("sizeup-*.tgz")
    made = new_release("upgrade")
    made.install(_values(maxModelLen=2048), chart=package)
    made.wait()
    return made


def _values(**size: object) -> Json:
    return {"models": {"small": {"id": MODEL, "engine": "fake", "replicas": 2, **size}}}


def test_an_upgrade_with_other_values_loses_nothing(release: Release) -> None:
    before = {name for name in release.uids() if "-small-" in name}

    def upgrade() -> None:
        release.install(_values(maxModelLen=4096))
        release.wait()
        release.wait_gone()

    tally = asyncio.run(during(release.url, [MODEL], upgrade, REQUESTS))
    assert tally.lost == []
    assert tally.answered >= REQUESTS
    assert min(tally.overlapped.values()) > 0, tally.overlapped
    assert before.isdisjoint(release.uids()), "the changed size has new pods"
    [listed] = release.releases()
    assert (listed["revision"], listed["status"]) == ("2", "deployed")
