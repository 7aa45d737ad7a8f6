"""The toy ladder as kind.yaml installs it: pulled from a mirror in the cluster, and really run."""

from collections.abc import Callable

import pytest

from cluster.asking import HELLO, ollama_at, openai_at
from cluster.command import CommandError
from cluster.kubectl import Json
from cluster.release import CLAIM, Release
from cluster.running import Cluster

LADDER = {"toy-0-5m": "sizeup/toy-0.5m", "toy-2m": "sizeup/toy-2m", "toy-5m": "sizeup/toy-5m"}
"""The keys and ids of kind.yaml."""
_LARGEST = "toy-5m"
_READY_SECONDS = 900.0
"""Of three processes that import torch at the same time, on two cores."""
_DOWNLOAD_SECONDS = 300.0
_WRITES = "open('/models/written', 'w')"


@pytest.fixture(scope="module")
def release(cluster: Cluster, new_release: Callable[[str], Release], torch: None) -> Release:
    made = new_release("ladder")
    cluster.make_cache(made.namespace)
    # The one size of kind.yaml that needs the network of the machine.
    without = {"qwen1-5-0-5b": {"enabled": False}}
    made.install({"models": without, "modelCache": cluster.cache_values}, file="kind.yaml")
    for job in made.kubectl.names("jobs"):
        made.kubectl.wait(f"job/{job}", "condition=complete", _DOWNLOAD_SECONDS)
    made.wait(seconds=_READY_SECONDS)
    return made


@pytest.mark.parametrize("model", LADDER.values())
def test_every_size_answers_in_both_dialects(release: Release, model: str) -> None:
    with ollama_at(release.url) as client:
        said = client.chat(model, [HELLO], options={"temperature": 0})
        assert said.message.content
    with openai_at(release.url) as client:
        same = client.chat.completions.create(model=model, messages=[HELLO], temperature=0)
        assert same.choices[0].message.content == said.message.content


def test_the_largest_computes(release: Release) -> None:
    question = {"role": "user", "content": "What is 47 + 385?"}
    with ollama_at(release.url) as client:
        said = client.chat(LADDER[_LARGEST], [question], options={"temperature": 0})
    assert "432" in (said.message.content or "")


def test_helm_test_is_green(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "sizeup")


def test_only_the_jobs_can_write_the_cache(release: Release) -> None:
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


def test_a_job_says_how_far_it_is_and_what_it_verified(release: Release) -> None:
    for key in LADDER:
        selector = f"app.kubernetes.io/component=download,sizeup.dev/model={key}"
        said = release.kubectl("logs", f"--selector={selector}", "--tail=-1")
        assert "verified" in said or "complete" in said, said
