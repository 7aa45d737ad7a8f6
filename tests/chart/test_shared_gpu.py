"""Several sizes on one GPU: what each takes, what it costs, and when they do not fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import (
    VARIANTS,
    Json,
    RenderError,
    containers,
    environment,
    merge,
    named,
    notes,
    of_kind,
    render,
)

PRESET = VARIANTS["one-gpu"]
BOUND = "SIZEUP_INFERENCE_GPU_MEMORY_BYTES"


def sizes(**models: Any) -> Json:
    """Return values with Qwen2.5-0.5B on gpu-24g, by key."""
    common = {"id": "Qwen/Qwen2.5-0.5B-Instruct", "profile": "gpu-24g", "maxModelLen": 4096}
    return {"models": {k: {**common, "names": [k], **v} for k, v in models.items()}}


def one_id(*keys: str) -> dict[str, str]:
    """Return different ids of models of 0.5B, since an id is served once."""
    ids = ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2-0.5B")
    return dict(zip(keys, ids, strict=False))


def test_the_preset_bounds_each_size_by_its_part() -> None:
    found = {}
    for one in of_kind(render(PRESET), "Deployment"):
        if key := one["metadata"]["labels"].get("sizeup.dev/model"):
            (container,) = one["spec"]["template"]["spec"]["containers"]
            assert container["resources"]["limits"]["nvidia.com/gpu.shared"] == 1
            found[key] = int(environment(container)[BOUND]) / 2**30
    assert found == {"qwen2-5-0-5b": 2.5, "qwen2-5-1-5b": 4, "qwen2-5-3b": 5.5, "qwen2-5-7b": 10}


def test_the_preset_fits_a_gpu_of_24_gb(tmp_path: Path) -> None:
    rows = [r.split() for r in notes(PRESET, tmp_path).splitlines() if r.startswith("qwen2-5-")]
    assert [row[6] for row in rows] == ["yes"] * 4
    assert sum(float(row[5]) for row in rows) == PRESET["profiles"]["gpu-shared"]["gpuMemoryGiB"]


def test_parts_that_exceed_the_gpu_are_rejected(tmp_path: Path) -> None:
    large = merge(PRESET, {"models": {"qwen2-5-0-5b": {"gpuMemoryGiB": 3}}})
    with pytest.raises(RenderError, match=r"profiles\.gpu-shared .* of 22 GiB .* take 22\.5 GiB"):
        render(large)
    assert "take 22.5 GiB" in notes({**large, "fit": {"onFailure": "warn"}}, tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        {"b": {"id": "Qwen/Qwen2.5-0.5B", "gpuMemoryGiB": 12}},
        {"b": {"id": "Qwen/Qwen2.5-0.5B"}},
        {"a": {"replicas": 2}},
        {"a": {"autoscaling": {"maxReplicas": 2}}},
    ],
    ids=["parts", "a size without a part takes the GPU", "replicas", "autoscaling"],
)
def test_every_pod_of_the_profile_counts(more: dict[str, Any]) -> None:
    shared = sizes(a={"gpuMemoryGiB": 12})
    assert render(shared)
    with pytest.raises(RenderError, match=r"profiles\.gpu-24g is one GPU"):
        render(merge(shared, sizes(**more)))


def test_sizes_without_parts_have_a_gpu_each() -> None:
    assert render(sizes(a={}, b={"id": "Qwen/Qwen2.5-0.5B", "replicas": 3}))


@pytest.mark.parametrize(
    "model",
    [
        {"gpuMemoryGiB": 23},
        {"profile": "gpu-24g:2", "gpuMemoryGiB": 3},
        {"profile": "cpu", "gpuMemoryGiB": 3},
    ],
)
def test_a_part_is_of_one_gpu(model: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match=r"models\.a\.gpuMemoryGiB"):
        render(sizes(a=model))


def test_what_fits_is_the_part() -> None:
    with pytest.raises(RenderError, match=r"2\.0 GiB available"):
        render(sizes(a={"id": "Qwen/Qwen2.5-3B-Instruct", "gpuMemoryGiB": 2}))


def test_the_price_of_the_gpu_is_divided() -> None:
    priced = merge(PRESET, {"profiles": {"gpu-shared": {"hourlyCost": 0.88}}})
    catalog = named(render(priced), "ConfigMap", "sizeup-models")["data"]["models.yaml"]
    prices = [m["price"]["per_hour"] for m in yaml.safe_load(catalog)["models"].values()]
    assert prices == pytest.approx([0.1, 0.16, 0.22, 0.4])


def test_the_last_container_is_the_engine() -> None:
    made = named(render(sizes(a={"gpuMemoryGiB": 3})), "Deployment", "sizeup-a")
    variables = environment(containers(made["spec"]["template"])[-1])
    assert variables["SIZEUP_INFERENCE_DEVICE"] == "cuda"
