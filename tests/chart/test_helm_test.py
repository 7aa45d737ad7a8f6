"""The pod that `helm test` runs."""

from typing import Any

import pytest

from chart.rendering import EVERYTHING, Json, environment, named, of_kind, render
from cli.command import Command

HELM_SECONDS = 300
"""What `helm test` waits by default."""


def pod(values: dict[str, Any]) -> Json:
    """Return the test pod."""
    return named(render(values), "Pod", "sizeup-test")


def arguments(values: dict[str, Any]) -> list[str]:
    """Return what its command line says."""
    (container,) = pod(values)["spec"]["containers"]
    assert container["command"] == ["sizeup"]
    return [str(argument) for argument in container["args"]]


def test_every_size_that_is_ready_is_asked() -> None:
    assert arguments(EVERYTHING) == [
        "check",
        "--url=http://sizeup-gateway:11434",
        "--api-key-file=/etc/sizeup-keys/keys",
        "--if-ready=middle",
        "--if-ready=pretender",
        "--if-ready=sleeper",
        "--if-ready=small",
    ]


def test_it_ends_before_helm_stops_waiting() -> None:
    spec = pod(EVERYTHING)["spec"]
    assert spec["activeDeadlineSeconds"] < HELM_SECONDS
    (container,) = spec["containers"]
    calls = 4 * float(environment(container)["SIZEUP_ANSWER_SECONDS"])
    assert calls < spec["activeDeadlineSeconds"], "a size that hangs leaves time for the others"


def test_the_command_line_understands_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the key file, which is not here."""
    done = Command(capsys, monkeypatch, *arguments(EVERYTHING))
    assert (done.code, "API key" in done.err) == (1, True)


def test_the_pod_goes_when_it_succeeded_unless_its_log_is_wanted() -> None:
    policy = "helm.sh/hook-delete-policy"
    gone = "before-hook-creation,hook-succeeded"
    assert pod(EVERYTHING)["metadata"]["annotations"][policy] == gone
    kept = pod({**EVERYTHING, "tests": {"keepPod": True}})["metadata"]["annotations"]
    assert kept == {"helm.sh/hook": "test", policy: "before-hook-creation"}


def test_it_can_be_left_without_a_sidecar() -> None:
    annotation = {"sidecar.istio.io/inject": "false"}
    annotations = pod({**EVERYTHING, "tests": {"podAnnotations": annotation}})["metadata"]
    assert annotation.items() <= annotations["annotations"].items()
    assert annotations["annotations"]["helm.sh/hook"] == "test"


def test_nothing_to_ask_needs_no_pod() -> None:
    assert of_kind(render({}), "Pod") == []
    off = render({**EVERYTHING, "tests": {"enabled": False}})
    assert [o for o in off if o["metadata"]["name"] == "sizeup-test"] == []
