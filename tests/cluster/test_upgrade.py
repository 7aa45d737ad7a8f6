"""Upgrade under load from the previously published chart to the one of this checkout."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.images import TAG
from cluster.kubectl import Json
from cluster.load import during
from cluster.release import Release

MODEL = "Qwen/Qwen1.5-0.5B-Chat"
REQUESTS = 200
_PREVIOUS = Path(__file__).parent / "previous"
"""Holds one chart package: the output of `helm package charts/sizeup` at its publication."""


@pytest.fixture
def release(new_release: Callable[[str], Release]) -> Release:
    [package] = _PREVIOUS.glob("sizeup-*.tgz")
    made = new_release("upgrade")
    image = {"fakeImage": {"tag": f"{TAG}-fake"}}  # now the tag of inference.image, with -fake
    made.install(_values(maxModelLen=2048) | {"inference": image}, chart=package)
    made.wait()
    return made


def _values(**model: object) -> Json:
    return {"models": {"small": {"id": MODEL, "engine": "fake", "replicas": 2, **model}}}


def test_upgrade_with_changed_values_loses_no_request(release: Release) -> None:
    before = {name for name in release.uids() if "-small-" in name}

    def upgrade() -> None:
        release.install(_values(maxModelLen=4096))
        release.wait()
        release.wait_terminated()

    tally = asyncio.run(during(release.url, [MODEL], upgrade, REQUESTS))
    assert tally.lost == []
    assert tally.completed >= REQUESTS
    assert min(tally.overlapped.values()) > 0, tally.overlapped
    assert before.isdisjoint(release.uids()), "the pods of the changed model are replaced"
    [listed] = release.releases()
    assert (listed["revision"], listed["status"]) == ("2", "deployed")
