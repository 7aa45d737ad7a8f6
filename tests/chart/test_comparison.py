"""What comparisons take from the chart: prices, the fallback, the load test's figures."""

from typing import Any

import pytest
import yaml

from chart.rendering import RenderError, containers, environment, named, render
from sizeup_wire.catalog import Catalog, Price

MODEL = {"id": "Qwen/Qwen2.5-7B-Instruct", "profile": "gpu-80g:4"}
GPU = {
    "resources": {"limits": {"nvidia.com/gpu": 1}},
    "gpuMemoryGiB": 79,
    "hourlyCost": 2.5,
}


def gateway(**values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the gateway's pod and its environment."""
    deployment = named(render({"gateway": values}), "Deployment", "sizeup-gateway")
    pod = deployment["spec"]["template"]
    return pod["spec"], environment(containers(pod)[0])


@pytest.mark.parametrize(
    ("profile", "price"), [(GPU, Price(per_hour=10.0)), (GPU | {"hourlyCost": 0}, None)]
)
def test_the_price_of_a_model_is_that_of_its_profile(
    profile: dict[str, Any], price: Price | None
) -> None:
    objects = render({"models": {"m": MODEL}, "profiles": {"gpu-80g": profile}})
    config = named(objects, "ConfigMap", "sizeup-models")["data"]["models.yaml"]
    assert Catalog.model_validate(yaml.safe_load(config)).models["m"].price == price


def test_the_fallback_is_off_unless_it_is_set() -> None:
    assert gateway()[1]["SIZEUP_GATEWAY_FALLBACK"] == "none"
    assert gateway(fallback="smaller")[1]["SIZEUP_GATEWAY_FALLBACK"] == "smaller"
    with pytest.raises(RenderError):
        gateway(fallback="larger")


def test_a_load_test_report_is_mounted_as_a_folder() -> None:
    pod, variables = gateway(loadTestReport={"configMap": "results"})
    assert variables["SIZEUP_GATEWAY_LOAD_TEST_REPORT"] == "/etc/sizeup-report/results.json"
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "report"]
    assert volume["configMap"] == {"name": "results", "optional": True}
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["report"] == {
        "name": "report",
        "mountPath": "/etc/sizeup-report",
        "readOnly": True,
    }


def test_without_a_report_there_is_no_volume() -> None:
    pod, variables = gateway()
    assert "SIZEUP_GATEWAY_LOAD_TEST_REPORT" not in variables
    assert all(volume["name"] != "report" for volume in pod["volumes"])


def test_session_affinity_of_the_service() -> None:
    def affinity(**service: str) -> Any:
        objects = render({"gateway": {"service": service}})
        return named(objects, "Service", "sizeup-gateway")["spec"].get("sessionAffinity")

    assert affinity() is None
    assert affinity(sessionAffinity="ClientIP") == "ClientIP"
