import json
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from kubernetes_validate import utils as tool

from chart import custom_resources
from chart.rendering import (
    CHART,
    EVERYTHING,
    HELM,
    VALUES,
    VARIANTS,
    identity,
    of_kind,
    over,
    render,
)

KUBERNETES = ("1.30", "1.34", "1.37")
"""The oldest the chart takes, the one the cluster test runs, the newest the tool knows."""


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once() -> Iterator[None]:
    """Megabytes of JSON otherwise, for every object anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tool, "schema_contents", cache(tool.schema_contents))
        yield


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_one_of_kubernetes(variant: str, version: str) -> None:
    for one in render(VARIANTS[variant]):
        if one["kind"] in custom_resources.KINDS:
            custom_resources.validate(one)
        else:
            kubernetes_validate.validate(one, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    one = next(o for o in render(VARIANTS["kind"]) if o["kind"] == "Deployment")
    one["spec"]["template"]["spec"]["containers"][0]["securityContext"][
        "readOnlyRootFileSystem"
    ] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(one, KUBERNETES[-1], strict=True)


@pytest.mark.parametrize("kind", custom_resources.KINDS)
def test_a_misspelt_field_of_a_kind_of_others_would_be_found(kind: str) -> None:
    (one,) = of_kind(render(EVERYTHING), kind)
    custom_resources.validate(one)
    one["spec"]["slector"] = {}
    with pytest.raises(ValueError, match="slector"):
        custom_resources.validate(one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_helm_lint_finds_no_fault(variant: str) -> None:
    command = [str(HELM), "lint", "--strict", str(CHART), "--values", "-"]
    values = json.dumps(VARIANTS[variant])
    done = subprocess.run(command, input=values, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_promised_values_files_are_there() -> None:
    promised = {"airgap", "cn-mirror", "gpu", "kind", "minikube", "scale-to-zero"}
    assert promised <= set(VALUES)


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_two_objects_have_one_name(variant: str) -> None:
    names = [identity(one) for one in render(VARIANTS[variant])]
    assert len(names) == len(set(names))


def test_every_object_is_in_the_releases_namespace() -> None:
    assert {one["metadata"]["namespace"] for one in render(VARIANTS["everything"])} == {"models"}


@pytest.mark.parametrize("base", ["gpu", "scale-to-zero"])
@pytest.mark.parametrize("more", ["cn-mirror", "airgap"])
def test_files_about_the_network_go_with_files_of_sizes(base: str, more: str) -> None:
    both = render(over(VARIANTS[base], VARIANTS[more]))
    assert {identity(o) for o in render(VARIANTS[base]) if o["kind"] == "Deployment"} <= {
        identity(o) for o in both
    }


def test_extra_objects_are_templates() -> None:
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
