"""Uninstall keeps the downloaded models and nothing else; the next install uses them."""

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
_IN_EVERY_NAMESPACE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


@pytest.fixture
def release(cluster: Cluster, new_release: Callable[[str], Release]) -> Release:
    """A fake model, and a downloaded one that stays scaled to zero."""
    made = new_release("lifecycle")
    cluster.create_cache(made.namespace)
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
    """Wait for all download Jobs. Raises CommandError if one fails or times out."""
    for job in release.kubectl.names("jobs"):
        release.kubectl.wait(f"job/{job}", "condition=complete", _DOWNLOAD_SECONDS)


def test_uninstall_keeps_only_the_cache(release: Release, cluster: Cluster) -> None:
    release.helm("uninstall", "sizeup")
    cache = {f"persistentvolumeclaim/{CLAIM}"}
    wait_for(lambda: _remaining(release) == cache, f"only {cache}", _GONE_SECONDS)

    # The next installation uses the files in it.
    release.install(_values(cluster))
    release.wait()
    _wait_downloaded(release)
    with ollama_at(release.url) as client:
        assert "Hello" in (client.chat(FAKE, [HELLO]).message.content or "")


def _remaining(release: Release) -> set[str]:
    """Return the objects in the namespace, without those that exist in every namespace."""
    kinds = release.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name")
    listed = ",".join(kind for kind in kinds.split() if not kind.startswith("events"))
    names = release.kubectl("get", listed, "--output=name", "--ignore-not-found").split()
    return set(names) - _IN_EVERY_NAMESPACE
