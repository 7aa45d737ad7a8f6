"""A profile's count is the number of GPUs among which each step of a model is divided."""

from typing import Any

import pytest

from chart.rendering import Json, containers, environment, named, render

VARIABLE = "SIZEUP_INFERENCE_TENSOR_PARALLEL"
SMALL = {"id": "Qwen/Qwen1.5-0.5B-Chat"}
SHM = {"name": "shm", "mountPath": "/dev/shm"}


def pod(profile: str, model: dict[str, Any] | None = None, **values: Any) -> Json:
    made = {"id": "Qwen/Qwen1.5-32B-Chat", "profile": profile, "maxModelLen": 1024}
    objects = render({"models": {"one": {**made, **(model or {})}}, **values})
    template: Json = named(objects, "Deployment", "sizeup-one")["spec"]["template"]
    return template


def test_a_count_starts_as_many_processes_with_shared_memory() -> None:
    made = pod("gpu-80g:4")
    (container,) = containers(made)[1:]
    assert environment(container)[VARIABLE] == "4"
    assert SHM in container["volumeMounts"]
    (volume,) = [v for v in made["spec"]["volumes"] if v["name"] == "shm"]
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}


@pytest.mark.parametrize(("profile", "model"), [("gpu-80g", {}), ("gpu-80g:2", {"engine": "fake"})])
def test_one_process_has_neither(profile: str, model: dict[str, Any]) -> None:
    made = pod(profile, model)
    container = containers(made)[-1]
    assert VARIABLE not in environment(container)
    assert SHM not in container["volumeMounts"]
    assert "shm" not in {v["name"] for v in made["spec"]["volumes"]}


@pytest.mark.parametrize(
    ("amount", "tripled"),
    [
        ("2", "6"),
        (2, "6"),
        ("0.5", "1.5"),
        ("1500m", "4500m"),
        ("48Gi", "144Gi"),
        ("1.5Gi", "4.5Gi"),
        (6442450944, "19327352832"),
        ("100", "300"),
    ],
)
def test_cpu_memory_and_gpus_grow_with_the_count(amount: Any, tripled: str) -> None:
    profile = {
        "resources": {
            "requests": {"cpu": amount, "memory": amount, "ephemeral-storage": "5Gi"},
            "limits": {"example.com/gpu": 1, "memory": amount},
        },
        "gpuMemoryGiB": 80,
    }
    made = pod("mine:3", {"id": "me/mine"}, profiles={"mine": profile})
    assert containers(made)[-1]["resources"] == {
        "requests": {"cpu": tripled, "memory": tripled, "ephemeral-storage": "5Gi"},
        "limits": {"example.com/gpu": "3", "memory": tripled},
    }
    once = pod("mine", {"id": "me/mine"}, profiles={"mine": profile})
    assert containers(once)[-1]["resources"] == profile["resources"]


def test_a_mount_of_the_operator_replaces_the_shared_memory() -> None:
    inference = {
        "extraVolumes": [{"name": "mine", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}],
        "extraVolumeMounts": [{"name": "mine", "mountPath": "/dev/shm/"}],
    }
    mounts = containers(pod("gpu-80g:4", inference=inference))[-1]["volumeMounts"]
    assert [m["name"] for m in mounts if m["mountPath"].startswith("/dev/shm")] == ["mine"]


@pytest.mark.parametrize(("profile", "gib"), [("gpu-24g", 22), ("gpu-80g:4", 79)])
def test_a_process_takes_no_more_of_a_gpu_than_its_profile_says(profile: str, gib: int) -> None:
    made = environment(containers(pod(profile, SMALL))[-1])
    assert made["SIZEUP_INFERENCE_GPU_MEMORY_BYTES"] == str(gib << 30)


def test_without_a_gpu_no_memory_of_one_is_bounded() -> None:
    assert "SIZEUP_INFERENCE_GPU_MEMORY_BYTES" not in environment(containers(pod("cpu", SMALL))[-1])
