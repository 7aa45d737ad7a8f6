"""helm upgrade restarts only the pods of changed models."""

from collections.abc import Callable

import pytest

from cluster.clients import HELLO, ollama_at, states
from cluster.kubectl import Json
from cluster.polling import wait_for
from cluster.release import Release

_APPLIED_SECONDS = 150.0
"""The kubelet updates a changed ConfigMap in the pods periodically, within about a minute."""


def _values(small: Json) -> Json:
    large = {"id": "Qwen/Qwen1.5-1.8B-Chat", "engine": "fake"}
    return {
        "models": {
            "small": {"id": "Qwen/Qwen1.5-0.5B-Chat", "engine": "fake", **small},
            "large": large,
        }
    }


@pytest.fixture(scope="module")
def _installed(new_release: Callable[[str], Release]) -> Release:
    return new_release("changes")


@pytest.fixture
def release(_installed: Release) -> Release:
    """The same two models before each test."""
    _installed.install(_values({}))
    _installed.wait()
    _installed.wait_terminated()
    return _installed


def test_changed_model_restarts_no_other(release: Release) -> None:
    before = release.uids()
    release.install(_values({"maxModelLen": 1024}))
    release.wait()
    release.wait_terminated()
    after = release.uids()
    kept = before.items() & after.items()
    assert {name for name in before if "-small-" not in name} == {name for name, _ in kept}
    assert len(after) == len(before)


def test_changed_catalog_is_reloaded_without_a_restart(release: Release) -> None:
    before = release.uids()
    release.install(_values({"names": ["renamed"]}))
    with ollama_at(release.url) as client:
        _wait_listed(release.url, "renamed", True)
        assert "Hello" in (client.chat("renamed", [HELLO]).message.content or "")
    assert release.uids() == before


def test_model_is_added_and_removed_without_a_restart(release: Release) -> None:
    before = release.uids()
    added = {"id": "Qwen/Qwen1.5-4B-Chat", "engine": "fake", "names": ["added"]}
    values = _values({})
    with ollama_at(release.url) as client:
        release.install({"models": {**values["models"], "added": added}})
        release.wait()
        _wait_listed(release.url, "added", True)
        assert "Hello" in (client.chat("added", [HELLO]).message.content or "")
        release.install(values)
        _wait_listed(release.url, "added", False)
    release.wait_terminated()
    assert release.uids() == before


def _wait_listed(url: str, name: str, listed: bool) -> None:
    """Wait until all gateways list a name, or none does."""

    def is_consistent() -> bool:
        found = states(url)
        return found is not None and (name in found) is listed

    wait_for(is_consistent, f"{name} listed by the gateways: {listed}", _APPLIED_SECONDS)
