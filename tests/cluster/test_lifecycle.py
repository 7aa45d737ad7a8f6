"""Upgrade and uninstall: what was downloaded stays, and nothing else does."""

from collections.abc import Callable

import pytest

from cluster.clients import HELLO, ollama_at
from cluster.cluster import Cluster
from cluster.kubectl import Json
from cluster.polling import wait_for
from cluster.release import CLAIM, Release

FAKE = "Qwen/Qwen1.5-0.5B-Chat"
TOY = "sizeup/toy-2m"
_DOWNLOAD_SECONDS = 300.0
_GONE_SECONDS = 180.0
_OF_EVERY_NAMESPACE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


@pytest.fixture
def release(cluster: Cluster, new_release: Callable[[str], Release]) -> Release:
    """A size that computes nothing, and one that is downloaded and stays at zero."""
    made = new_release("lifecycle")
    cluster.make_cache(made.namespace)
    made.install(_values(cluster))
    made.wait()
    _wait_downloaded(made)
    return made


def _values(cluster: Cluster, **small: object) -> Json:
    toy = {"id": TOY, "scaleToZero": {"enabled": True}}
    return {
        "models": {"small": {"id": FAKE, "engine": "fake", **small}, "toy": toy},
        "mirror": {"enabled": True},
        "modelCache": cluster.cache_values,
    }


def _wait_downloaded(release: Release) -> None:
    """Wait for the Jobs that there are; CommandError when one is late or fails."""
    for job in release.kubectl.names("jobs"):
        release.kubectl.wait(f"job/{job}", "condition=complete", _DOWNLOAD_SECONDS)


def test_an_uninstalled_release_leaves_nothing_but_its_cache(
    release: Release, cluster: Cluster
) -> None:
    release.helm("uninstall", "sizeup")
    cache = {f"persistentvolumeclaim/{CLAIM}"}
    wait_for(lambda: _left(release) == cache, f"{cache} alone", _GONE_SECONDS)

    # And the next installation finds the files in it.
    release.install(_values(cluster))
    release.wait()
    _wait_downloaded(release)
    with ollama_at(release.url) as client:
        assert "Hello" in (client.chat(FAKE, [HELLO]).message.content or "")


def _left(release: Release) -> set[str]:
    """Return everything in the namespace that is not there in every namespace."""
    kinds = release.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name")
    wanted = ",".join(kind for kind in kinds.split() if not kind.startswith("events"))
    named = release.kubectl("get", wanted, "--output=name", "--ignore-not-found").split()
    return set(named) - _OF_EVERY_NAMESPACE
