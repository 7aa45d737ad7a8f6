import json
import subprocess
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from chart import custom_resources
from chart.rendering import (
    CHART,
    EVERYTHING,
    HELM,
    VALUES,
    VARIANTS,
    identity,
    merge,
    of_kind,
    render,
)
from chart.validation import KUBERNETES, validate


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_objects_are_valid(variant: str, version: str) -> None:
    for one in render(VARIANTS[variant]):
        validate(one, version)


def test_misspelt_field_is_detected() -> None:
    one = next(o for o in render(VARIANTS["kind"]) if o["kind"] == "Deployment")
    one["spec"]["template"]["spec"]["containers"][0]["securityContext"][
        "readOnlyRootFileSystem"
    ] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(one, KUBERNETES[-1], strict=True)


@pytest.mark.parametrize("kind", custom_resources.KINDS)
def test_misspelt_field_of_a_custom_resource_is_detected(kind: str) -> None:
    values = {**EVERYTHING, "extraObjects": VARIANTS["keda"]["extraObjects"]}
    (one,) = of_kind(render(values), kind)
    custom_resources.validate(one)
    one["spec"]["slector"] = {}
    with pytest.raises(ValueError, match="slector"):
        custom_resources.validate(one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_helm_lint_passes(variant: str) -> None:
    command = [str(HELM), "lint", "--strict", str(CHART), "--values", "-"]
    values = json.dumps(VARIANTS[variant])
    done = subprocess.run(command, input=values, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_documented_presets_exist() -> None:
    documented = {"airgap", "cn-mirror", "gpu", "keda", "kind", "minikube", "scale-to-zero"}
    assert documented <= set(VALUES)


@pytest.mark.parametrize("variant", VARIANTS)
def test_object_names_are_unique(variant: str) -> None:
    names = [identity(one) for one in render(VARIANTS[variant])]
    assert len(names) == len(set(names))


def test_objects_are_in_the_namespace_of_the_release() -> None:
    assert {one["metadata"]["namespace"] for one in render(VARIANTS["everything"])} == {"models"}


@pytest.mark.parametrize("base", ["gpu", "scale-to-zero"])
@pytest.mark.parametrize("more", ["cn-mirror", "airgap"])
def test_network_presets_combine_with_model_presets(base: str, more: str) -> None:
    both = render(merge(VARIANTS[base], VARIANTS[more]))
    assert {identity(o) for o in render(VARIANTS[base]) if o["kind"] == "Deployment"} <= {
        identity(o) for o in both
    }


def test_extra_objects_are_rendered_as_templates() -> None:
    values: dict[str, Any] = {
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "{{ .Release.Name }}-more"},
            },
            "apiVersion: v1\nkind: Secret\nmetadata: {name: '{{ .Release.Name }}-text'}",
        ]
    }
    names = {identity(one) for one in render(values)}
    assert {("ConfigMap", "sizeup-more"), ("Secret", "sizeup-text")} <= names
