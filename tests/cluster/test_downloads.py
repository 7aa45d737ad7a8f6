"""Downloads before GPUs: a size holds none while its weights are downloaded.

The node advertises GPUs that it does not have, and the engine computes on CPUs.
"""

import asyncio
from collections.abc import Callable

import pytest

from cluster.clients import HELLO, ollama_at, states
from cluster.cluster import Cluster
from cluster.extended_resource import RESOURCE, advertise
from cluster.images import TAG
from cluster.kubectl import Json
from cluster.load import during
from cluster.polling import wait_for
from cluster.release import Release, merged

KEY, ID, MODEL = "toy", "sizeup/toy-0.5m", "toy:0.5m"
DEPLOYMENT = f"deployment/sizeup-{KEY}"
REQUESTS = 500
_STATE_SECONDS = 120.0
_READY_SECONDS = 600.0
"""The download, then a process that imports torch."""
_HELD_UP: Json = {"requests": {"cpu": "1000"}}
"""No node has as many CPUs, so the pod of the download stays pending."""


@pytest.fixture(scope="module")
def gpus(cluster: Cluster) -> None:
    """GPUs for an old pod and a new one."""
    advertise(cluster, 2)


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, new_release: Callable[[str], Release], torch: None, gpus: None
) -> Release:
    made = new_release("downloads")
    cluster.create_cache(made.namespace)
    return made


def _install(release: Release, download: Json, **model: object) -> None:
    resources = {
        "requests": {"cpu": "10m", "memory": "512Mi"},
        "limits": {"cpu": "2", "memory": "1Gi", RESOURCE: 1},
    }
    environment = {"SIZEUP_INFERENCE_DEVICE": "cpu", "SIZEUP_INFERENCE_KV_CACHE_BYTES": "67108864"}
    toy = {
        "id": ID,
        "profile": "gpus",
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        **model,
    }
    values: Json = {
        "models": {KEY: toy},
        "profiles": {"gpus": {"resources": resources, "gpuMemoryGiB": 2, "image": {"tag": TAG}}},
        "mirror": {"enabled": True},
        "modelCache": {
            "accessModes": ["ReadWriteOnce"],
            "size": "1Gi",
            "download": {"resources": download},
        },
    }
    release.install(merged(values, {"modelCache": release.cluster.cache_values}))


def _state(release: Release) -> str | None:
    return (states(release.url) or {}).get(MODEL)


def _wait_state(release: Release, state: str, seconds: float = _STATE_SECONDS) -> None:
    wait_for(lambda: _state(release) == state, f"{MODEL} {state}", seconds)


def _serving(release: Release) -> set[str]:
    """Return the uids of the pods that hold GPUs."""
    return {pod["metadata"]["uid"] for pod in release.pods(KEY)}


def _is_paused(release: Release) -> bool:
    return bool(release.kubectl.get(DEPLOYMENT)["spec"].get("paused"))


def test_a_size_holds_no_gpu_while_its_download_is_held_up(release: Release) -> None:
    _install(release, _HELD_UP)
    release.wait("sizeup-gateway")
    _wait_state(release, "downloading")
    assert (_serving(release), _is_paused(release)) == (set(), True)
    _install(release, {"requests": {"cpu": "10m"}})
    _wait_state(release, "ready", _READY_SECONDS)
    assert not _is_paused(release)
    with ollama_at(release.url) as client:
        assert client.chat(MODEL, [HELLO]).message.content


def test_an_upgrade_without_a_download_is_not_paused(release: Release) -> None:
    before = _serving(release)
    _install(release, {"requests": {"cpu": "10m"}}, maxModelLen=1024)
    assert not _is_paused(release)
    release.wait()
    release.wait_terminated()
    assert len(_serving(release) - before) == 1


def test_a_change_of_the_revision_loses_no_request(release: Release) -> None:
    """The old revision answers while the new one is downloaded, and until it is ready."""
    reference = f"/models/models--{ID.replace('/', '--')}/refs/main"
    commit = release.kubectl("exec", DEPLOYMENT, "--", "cat", reference).strip()
    before = _serving(release)

    def change() -> None:
        _install(release, _HELD_UP, revision=commit)
        wait_for(lambda: _is_paused(release), "the pause", _STATE_SECONDS)
        _wait_state(release, "ready")  # once the gateways agree
        assert (_serving(release), _is_paused(release)) == (before, True)
        _install(release, {"requests": {"cpu": "10m"}}, revision=commit)
        wait_for(lambda: not _is_paused(release), "the end of the pause", _STATE_SECONDS)
        release.kubectl.rolled_out(DEPLOYMENT, _READY_SECONDS)
        release.wait_terminated()

    tally = asyncio.run(during(release.url, [MODEL], change, REQUESTS, prompts=("Hello",)))
    after = _serving(release)
    assert (len(after), after & before) == (1, set())
    assert tally.lost == []
    assert tally.completed >= REQUESTS
    assert min(tally.overlapped.values()) > 0, tally.overlapped
