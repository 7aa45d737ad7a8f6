"""The toy models as installed by kind.yaml: downloaded from the in-cluster mirror, run by torch."""

from collections.abc import Callable

import openai
import pytest

from cluster.clients import HELLO, ollama_at, openai_at, states
from cluster.cluster import Cluster
from cluster.command import CommandError
from cluster.kubectl import Json
from cluster.polling import wait_for
from cluster.release import CLAIM, Release

LADDER = {"toy-0-5m": "sizeup/toy-0.5m", "toy-2m": "sizeup/toy-2m", "toy-5m": "sizeup/toy-5m"}
"""Keys and ids of the toy models in kind.yaml."""
_LARGEST = "toy-5m"
_READY_SECONDS = 900.0
"""For three processes that import torch concurrently on two cores."""
_DOWNLOAD_SECONDS = 300.0
_FAILED_SECONDS = 300.0
"""The Job tries the mirror ten times before it fails; then the gateways must notice."""
_WRITES = "open('/models/written', 'w')"


@pytest.fixture(scope="module")
def release(cluster: Cluster, new_release: Callable[[str], Release], torch: None) -> Release:
    made = new_release("ladder")
    cluster.create_cache(made.namespace)
    _install(made, cluster)
    for job in made.kubectl.names("jobs"):
        made.kubectl.wait(f"job/{job}", "condition=complete", _DOWNLOAD_SECONDS)
    made.wait(seconds=_READY_SECONDS)
    return made


def _install(release: Release, cluster: Cluster, **more: Json) -> None:
    # Without the model of kind.yaml that needs the internet.
    models = {"qwen1-5-0-5b": {"enabled": False}, **more}
    release.install({"models": models, "modelCache": cluster.cache_values}, file="kind.yaml")


@pytest.mark.parametrize("model", LADDER.values())
def test_both_apis_return_the_same_completion(release: Release, model: str) -> None:
    with ollama_at(release.url) as client:
        response = client.chat(model, [HELLO], options={"temperature": 0})
        assert response.message.content
    with openai_at(release.url) as client:
        same = client.chat.completions.create(model=model, messages=[HELLO], temperature=0)
        assert same.choices[0].message.content == response.message.content


def test_largest_model_solves_an_addition(release: Release) -> None:
    question = {"role": "user", "content": "What is 47 + 385?"}
    with ollama_at(release.url) as client:
        response = client.chat(LADDER[_LARGEST], [question], options={"temperature": 0})
    assert "432" in (response.message.content or "")


def test_helm_test_passes(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "sizeup")


def test_only_download_jobs_can_write_the_cache(release: Release) -> None:
    writers = {_component(pod) for pod in release.kubectl.items("pods") if _writes_cache(pod)}
    assert writers == {"download"}
    with pytest.raises(CommandError, match="Read-only file system"):
        release.kubectl("exec", f"deploy/sizeup-{_LARGEST}", "--", "python", "-c", _WRITES)


def _component(pod: Json) -> str:
    return str(pod["metadata"]["labels"]["app.kubernetes.io/component"])


def _writes_cache(pod: Json) -> bool:
    spec = pod["spec"]
    claims = {
        v["name"]
        for v in spec["volumes"]
        if v.get("persistentVolumeClaim", {}).get("claimName") == CLAIM
    }
    containers = (*spec.get("initContainers", ()), *spec["containers"])
    mounts = (mount for container in containers for mount in container.get("volumeMounts", ()))
    return any(mount["name"] in claims and not mount.get("readOnly") for mount in mounts)


@pytest.mark.parametrize(("key", "model"), LADDER.items())
def test_job_downloads_and_verifies(release: Release, key: str, model: str) -> None:
    selector = f"app.kubernetes.io/component=download,sizeup.dev/model={key}"
    text = release.kubectl("logs", f"--selector={selector}", "--tail=-1")
    assert "model.safetensors" in text
    assert model in text
    marker = f"ls /models/models--{model.replace('/', '--')}/.sizeup/*.complete"
    release.kubectl("exec", f"deploy/sizeup-{key}", "--", "sh", "-c", marker)


def test_failed_download_is_reported_and_affects_no_other_model(
    release: Release, cluster: Cluster
) -> None:
    before = release.uids()
    _install(release, cluster, missing={"id": "sizeup/toy-9b", "profile": "cpu-small"})
    found = wait_for(lambda: _with_failure(release), "the failure", _FAILED_SECONDS)
    assert {state for name, state in found.items() if name != "missing"} == {"ready"}
    with openai_at(release.url) as client:
        with pytest.raises(openai.InternalServerError, match="failed"):
            client.chat.completions.create(model="missing", messages=[HELLO])
        client.chat.completions.create(model=LADDER[_LARGEST], messages=[HELLO])
    assert before.items() <= release.uids().items()


def _with_failure(release: Release) -> dict[str, str] | None:
    found = states(release.url)
    return found if found and found.get("missing") == "failed" else None
