"""The gateway's Service answers in both dialects, as their official clients read them."""

from collections.abc import Callable, Iterable

import pytest
import yaml

from cluster.clients import HELLO, ollama_at, openai_at
from cluster.command import CommandError
from cluster.kubectl import Json
from cluster.release import Release

SMALL, LARGE = "Qwen/Qwen1.5-0.5B-Chat", "Qwen/Qwen1.5-1.8B-Chat"


@pytest.fixture(scope="module")
def release(new_release: Callable[[str], Release]) -> Release:
    made = new_release("answers")
    small, large = ({"id": model, "engine": "fake"} for model in (SMALL, LARGE))
    made.install({"models": {"small": small, "large": large}})
    made.wait()
    return made


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_openai_clients_are_answered(release: Release, model: str) -> None:
    with openai_at(release.url) as client:
        said = client.chat.completions.create(model=model, messages=[HELLO])
        assert "Hello" in (said.choices[0].message.content or "")
        parts = client.chat.completions.create(model=model, messages=[HELLO], stream=True)
        assert "Hello" in "".join(part.choices[0].delta.content or "" for part in parts)


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_ollama_clients_are_answered(release: Release, model: str) -> None:
    with ollama_at(release.url) as client:
        assert "Hello" in (client.chat(model, [HELLO], stream=False).message.content or "")
        parts = client.chat(model, [HELLO], stream=True)
        assert "Hello" in "".join(part.message.content or "" for part in parts)


def test_both_dialects_list_the_sizes(release: Release) -> None:
    with ollama_at(release.url) as client:
        listed = {str(model.model).removesuffix(":latest") for model in client.list().models}
        assert len(client.ps().models) == 2
    with openai_at(release.url) as client:
        entries = list(client.models.list())
    assert {entry.id for entry in entries} == listed
    assert [getattr(entry, "state", None) for entry in entries] == ["ready", "ready"]


def test_helm_test_is_green(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "sizeup")


def test_every_pod_runs_restricted(release: Release) -> None:
    """The namespace admits nothing else, so these pods are; and it does refuse others."""
    assert all(pod["status"]["phase"] == "Running" for pod in release.kubectl.items("pods"))
    rooted = {"name": "rooted", "image": "none", "securityContext": {"privileged": True}}
    spec = {"containers": [rooted]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "rooted"}, "spec": spec}
    with pytest.raises(CommandError, match="violates PodSecurity"):
        release.kubectl.apply(pod)


def test_the_network_policies_are_those_that_were_rendered(release: Release) -> None:
    objects = yaml.safe_load_all(release.helm("get", "manifest", "sizeup"))
    rendered = _specs([o for o in objects if o and o["kind"] == "NetworkPolicy"])
    assert _specs(release.kubectl.items("networkpolicies")) == rendered
    assert rendered


def _specs(objects: Iterable[Json]) -> dict[str, Json]:
    return {found["metadata"]["name"]: found["spec"] for found in objects}
