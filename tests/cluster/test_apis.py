"""Both APIs through the gateway's Service, with their official clients."""

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
    made = new_release("apis")
    small, large = ({"id": model, "engine": "fake"} for model in (SMALL, LARGE))
    made.install({"models": {"small": small, "large": large}})
    made.wait()
    return made


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_openai_client(release: Release, model: str) -> None:
    with openai_at(release.url) as client:
        response = client.chat.completions.create(model=model, messages=[HELLO])
        assert "Hello" in (response.choices[0].message.content or "")
        parts = client.chat.completions.create(model=model, messages=[HELLO], stream=True)
        assert "Hello" in "".join(part.choices[0].delta.content or "" for part in parts)


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_ollama_client(release: Release, model: str) -> None:
    with ollama_at(release.url) as client:
        assert "Hello" in (client.chat(model, [HELLO], stream=False).message.content or "")
        parts = client.chat(model, [HELLO], stream=True)
        assert "Hello" in "".join(part.message.content or "" for part in parts)


def test_both_apis_list_the_models(release: Release) -> None:
    with ollama_at(release.url) as client:
        listed = {str(model.model).removesuffix(":latest") for model in client.list().models}
        assert len(client.ps().models) == 2
    with openai_at(release.url) as client:
        entries = list(client.models.list())
    assert {entry.id for entry in entries} == listed
    assert [getattr(entry, "state", None) for entry in entries] == ["ready", "ready"]


def test_helm_test_passes(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "sizeup")


def test_pods_run_under_pod_security_restricted(release: Release) -> None:
    """The namespace enforces it, which the rejected privileged pod proves."""
    assert all(pod["status"]["phase"] == "Running" for pod in release.kubectl.items("pods"))
    privileged = {"name": "privileged", "image": "none", "securityContext": {"privileged": True}}
    spec = {"containers": [privileged]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "privileged"}, "spec": spec}
    with pytest.raises(CommandError, match="violates PodSecurity"):
        release.kubectl.apply(pod)


def test_network_policies_are_stored_as_rendered(release: Release) -> None:
    objects = yaml.safe_load_all(release.helm("get", "manifest", "sizeup"))
    rendered = _specs([o for o in objects if o and o["kind"] == "NetworkPolicy"])
    assert _specs(release.kubectl.items("networkpolicies")) == rendered
    assert rendered


def _specs(objects: Iterable[Json]) -> dict[str, Json]:
    return {found["metadata"]["name"]: found["spec"] for found in objects}
