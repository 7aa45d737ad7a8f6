"""Devices of a profile: claims (dynamic resource allocation), and amounts of extended resources."""

from typing import Any

import pytest

from chart.rendering import Json, RenderError, containers, named, render
from chart.validation import KUBERNETES, validate

CLAIM: dict[str, Any] = {
    "resourceClaims": [{"name": "gpus", "resourceClaimTemplateName": "one-gpu"}],
    "resources": {
        "requests": {"cpu": "2", "memory": "16Gi"},
        "limits": {"memory": "16Gi"},
        "claims": [{"name": "gpus"}],
    },
    "gpuMemoryGiB": 22,
}


def serving(profile: Json, name: str = "dra") -> Json:
    """Return the pod of a model on a profile."""
    model = {"id": "Qwen/Qwen2.5-7B-Instruct", "profile": name, "maxModelLen": 1024}
    profiles = {name.partition(":")[0]: profile}
    objects = render({"models": {"one": model}, "profiles": profiles})
    for one in objects:
        validate(one, KUBERNETES[-1])
    pod: Json = named(objects, "Deployment", "sizeup-one")["spec"]["template"]
    return pod


def test_a_claim_of_devices_counts_as_a_gpu() -> None:
    pod = serving(CLAIM)
    assert pod["spec"]["resourceClaims"] == CLAIM["resourceClaims"]
    assert containers(pod)[-1]["resources"]["claims"] == [{"name": "gpus"}]
    with pytest.raises(RenderError, match=r"resources\.claims"):
        serving({**CLAIM, "resources": {"limits": {"memory": "16Gi"}}})


def test_a_count_multiplies_cpu_and_memory_beside_a_claim() -> None:
    resources = containers(serving(CLAIM, "dra:2"))[-1]["resources"]
    assert resources["requests"] == {"cpu": "4", "memory": "32Gi"}
    assert resources["claims"] == [{"name": "gpus"}]


@pytest.mark.parametrize("amount", [1, "1"])
def test_amounts_of_devices_are_numbers_or_strings(amount: int | str) -> None:
    limits = {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": amount}
    profile = {"resources": {"limits": limits}, "gpuMemoryGiB": 22}
    one, two = (containers(serving(profile, name))[-1]["resources"] for name in ("g", "g:2"))
    assert str(one["limits"]["nvidia.com/gpu"]) == "1"
    assert str(two["limits"]["nvidia.com/gpu"]) == "2"


def test_a_gpu_has_memory() -> None:
    """Without, the pod would hold the GPU and compute on CPUs."""
    limits = {"memory": "32Gi", "nvidia.com/gpu": 1}
    with pytest.raises(RenderError, match=r"profiles\.g .* gpuMemoryGiB is 0"):
        serving({"resources": {"limits": limits}, "gpuMemoryGiB": 0}, "g")


def test_a_claim_must_exist() -> None:
    with pytest.raises(RenderError, match=r'profiles\.dra\.resources\.claims has "gpus"'):
        serving({**CLAIM, "resourceClaims": []})


def test_parts_of_gpus_by_hami_are_those_of_each_gpu() -> None:
    limits = {"memory": "16Gi", "nvidia.com/gpu": 1, "nvidia.com/gpumem": 20480}
    profile = {"resources": {"limits": limits}, "gpuMemoryGiB": 20}
    (found,) = containers(serving(profile, "hami:2"))[1:]
    assert found["resources"]["limits"] == {
        "memory": "32Gi",
        "nvidia.com/gpu": "2",
        "nvidia.com/gpumem": 20480,
    }


def test_amounts_may_be_fractions() -> None:
    resources = {"requests": {"cpu": 0.5}, "limits": {"memory": "16Gi", "nvidia.com/gpu": 1}}
    profile = {"resources": resources, "gpuMemoryGiB": 22}
    assert containers(serving(profile, "g"))[-1]["resources"]["requests"] == {"cpu": 0.5}
    assert containers(serving(profile, "g:2"))[-1]["resources"]["requests"] == {"cpu": "1"}
