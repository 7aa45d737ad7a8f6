"""The pod that `helm test` runs."""

from typing import Any

import pytest

from chart.rendering import EVERYTHING, Json, environment, named, of_kind, render
from cli.command import Command

HELM_SECONDS = 300
"""Default timeout of `helm test`."""


def pod(values: dict[str, Any]) -> Json:
    """Return the test pod."""
    return named(render(values), "Pod", "sizeup-test")


def arguments(values: dict[str, Any]) -> list[str]:
    """Return its command line arguments."""
    (container,) = pod(values)["spec"]["containers"]
    assert container["command"] == ["sizeup"]
    return [str(argument) for argument in container["args"]]


def test_every_model_is_checked_if_ready() -> None:
    assert arguments(EVERYTHING) == [
        "check",
        "--url=http://sizeup-gateway:11434",
        "--api-key-file=/etc/sizeup-keys/keys",
        "--if-ready=fake",
        "--if-ready=middle",
        "--if-ready=scaled",
        "--if-ready=small",
    ]


def test_deadline_is_below_the_timeout_of_helm_test() -> None:
    spec = pod(EVERYTHING)["spec"]
    assert spec["activeDeadlineSeconds"] < HELM_SECONDS
    (container,) = spec["containers"]
    calls = 4 * float(environment(container)["SIZEUP_ANSWER_SECONDS"])
    assert calls < spec["activeDeadlineSeconds"], "a model that hangs leaves time for the others"


def test_arguments_are_valid(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command fails at the API key file, which does not exist."""
    done = Command(capsys, monkeypatch, *arguments(EVERYTHING))
    assert (done.code, "API key" in done.err) == (1, True)


def test_hook_deletes_the_pod_unless_keep_pod_is_set() -> None:
    policy = "helm.sh/hook-delete-policy"
    deleted = "before-hook-creation,hook-succeeded"
    assert pod(EVERYTHING)["metadata"]["annotations"][policy] == deleted
    kept = pod({**EVERYTHING, "tests": {"keepPod": True}})["metadata"]["annotations"]
    assert kept == {"helm.sh/hook": "test", policy: "before-hook-creation"}


def test_pod_annotations() -> None:
    annotation = {"sidecar.istio.io/inject": "false"}
    annotations = pod({**EVERYTHING, "tests": {"podAnnotations": annotation}})["metadata"]
    assert annotation.items() <= annotations["annotations"].items()
    assert annotations["annotations"]["helm.sh/hook"] == "test"


def test_no_pod_without_models_or_when_disabled() -> None:
    assert of_kind(render({}), "Pod") == []
    disabled = render({**EVERYTHING, "tests": {"enabled": False}})
    assert [o for o in disabled if o["metadata"]["name"] == "sizeup-test"] == []
