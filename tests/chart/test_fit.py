import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import sizeup
import sizeup_inference
from chart.rendering import (
    CHART,
    EVERYTHING,
    RenderError,
    containers,
    environment,
    merge,
    named,
    notes,
    pods,
    render,
)

WARN = {"fit": {"onFailure": "warn"}}


def one(size: str = "72B", **values: Any) -> dict[str, Any]:
    """Return values with one model of Qwen1.5."""
    return {"models": {"one": {"id": f"Qwen/Qwen1.5-{size}-Chat", **values}}}


def test_model_that_does_not_fit_is_rejected_with_the_calculation() -> None:
    with pytest.raises(RenderError) as error:
        render(one(profile="gpu-80g:2", maxModelLen=8192))
    # 72.3e9 x 2 bytes; 2 sequences x 8192 tokens x 2 x 80 layers x 64 heads x 128 x 2 bytes
    figures = ("134.7 GiB", "72.30 billion", "KV cache 40.0 GiB", "x 8192 tokens", "158.0 GiB")
    for part in ("models.one", "gpu-80g:2", *figures, "gpu-80g:4"):
        assert part in str(error.value)


def test_suggested_profile_fits() -> None:
    assert render(one(profile="gpu-80g:4", maxModelLen=8192))


@pytest.mark.parametrize(
    ("rejected", "accepted"),
    [
        (
            {"maxModelLen": 8192, "profile": "gpu-80g:2"},
            {"maxModelLen": 1024, "profile": "gpu-80g:2"},
        ),
        (
            {"dtype": "float32", "profile": "gpu-80g:4"},
            {"dtype": "bfloat16", "profile": "gpu-80g:4"},
        ),
        ({"profile": "gpu-80g"}, {"profile": "gpu-80g:4"}),
        ({"profile": "gpu-80g"}, {"profile": "gpu-80g", "quantization": "int4"}),
        (
            {"profile": "gpu-80g", "quantization": "int8"},
            {"profile": "gpu-80g", "quantization": "int4"},
        ),
    ],
)
def test_length_dtype_quantization_and_gpus_are_counted(
    rejected: dict[str, Any], accepted: dict[str, Any]
) -> None:
    with pytest.raises(RenderError, match="does not fit"):
        render(one(**rejected))
    assert render(one(**accepted))


def test_a_count_that_does_not_divide_the_heads_is_rejected(tmp_path: Path) -> None:
    """As the engine does at startup. The attention heads are a multiple of the KV heads."""
    values = one(profile="gpu-80g:6", maxModelLen=8192)
    with pytest.raises(RenderError, match=r":6, .* 64 KV heads .* 1, 2, 4, 8, 16, 32, 64,"):
        render(values)
    assert "WARNING: models.one.profile is gpu-80g:6" in notes({**values, **WARN}, tmp_path)
    shape = {"layers": 2, "kvHeads": 6, "headDim": 64}
    unknown = {"id": "me/mine", "profile": "gpu-24g:3"}
    for accepted in (unknown, {**unknown, "shape": shape}):
        assert render({"models": {"one": accepted}})
    with pytest.raises(RenderError, match=r":4, .* 6 KV heads"):
        render({"models": {"one": {**unknown, "shape": shape, "profile": "gpu-24g:4"}}})


def test_the_suggested_count_divides_the_heads() -> None:
    """40 KV heads: two GPUs of 24 GB are not enough, and three do not divide them."""
    with pytest.raises(RenderError, match=r"It fits gpu-24g:4\."):
        render(one("14B", profile="gpu-24g:2", maxModelLen=10240))
    tiny = {"gpu-24g": {"gpuMemoryGiB": 3}}
    with pytest.raises(RenderError, match="No number of these GPUs"):
        render({**one("72B", profile="gpu-24g:2"), "profiles": tiny})


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"profile": "gpu-80g:2", "quantization": "int4"}, "models.one.quantization"),
        ({"profile": "gpu-80g", "quantization": "int4", "dtype": "float16"}, "models.one.dtype"),
    ],
)
def test_quantization_that_no_gpu_computes_is_rejected(values: dict[str, Any], path: str) -> None:
    with pytest.raises(RenderError, match=path):
        render(one("7B", **values))


def test_quantization_is_a_setting_of_the_engine_only() -> None:
    """The files, and so the volume, stay as they are."""
    plain, quantized = (
        render(one("7B", profile="gpu-24g", quantization=q)) for q in ("none", "int4")
    )
    before, after = (
        [environment(c) for _, pod in pods(r) for c in containers(pod) if c["name"] == "inference"]
        for r in (plain, quantized)
    )
    assert after == [env | {"SIZEUP_INFERENCE_QUANTIZATION": "int4"} for env in before]
    claims = [
        [o["spec"] for o in r if o["kind"] == "PersistentVolumeClaim"] for r in (plain, quantized)
    ]
    assert claims[0] == claims[1] != []


def test_number_of_sequences_is_a_value() -> None:
    values = one("7B", profile="gpu-24g", maxModelLen=4096)
    assert render(values)
    with pytest.raises(RenderError, match="4 sequences x 4096 tokens"):
        render({**values, "fit": {"concurrency": 4}})


def test_without_max_model_len_the_context_is_what_fits(
    tmp_path: Path,
) -> None:
    """As in load_model.py: the model's context length, or what the KV cache holds."""
    values = one("7B", profile="gpu-24g")
    (row,) = [line for line in notes(values, tmp_path).splitlines() if line.startswith("one ")]
    free = 0.85 * (22 - 7.72e9 * 2 / 2**30 - 0.5) * 2**30
    assert row.split()[7] == str(int(free / (2 * 32 * 32 * 128 * 2)))
    with pytest.raises(RenderError, match="2 sequences x 32768 tokens"):
        render(one("7B", profile="gpu-24g", maxModelLen=32768))
    with pytest.raises(RenderError, match="2 sequences x 4096 tokens"):
        render(one("14B", profile="gpu-24g"))


def test_context_column_is_max_model_len_or_the_models_context(tmp_path: Path) -> None:
    models = {
        "limited": {"id": "Qwen/Qwen1.5-7B-Chat", "profile": "gpu-80g", "maxModelLen": 8192},
        "own": {"id": "Qwen/Qwen1.5-0.5B-Chat", "profile": "gpu-80g", "names": ["own"]},
        "toy": {"id": "sizeup/toy-5m", "profile": "cpu-small"},
        "unknown": {"id": "me/mine", "profile": "gpu-80g"},
    }
    rows = [line.split() for line in notes({"models": models}, tmp_path).splitlines()]
    shown = {row[0]: row[7] for row in rows if row and row[0] in models}
    assert shown == {"limited": "8192", "own": "32768", "toy": "2048", "unknown": "?"}


def test_max_model_len_beyond_the_context_is_rejected(tmp_path: Path) -> None:
    """As the engine does at startup."""
    values = one("0.5B", profile="gpu-80g", maxModelLen=32769)
    message = r"models\.one\.maxModelLen is 32769"
    with pytest.raises(RenderError, match=message):
        render(values)
    assert re.search(f"WARNING: {message}", notes({**values, **WARN}, tmp_path))
    assert render(one("0.5B", profile="gpu-80g", maxModelLen=32768))
    assert render(one("0.5B", engine="fake", maxModelLen=32769)), "has no context length"


def test_gpu_profile_must_request_a_gpu(tmp_path: Path) -> None:
    resources = {"limits": {"memory": "16Gi", "nvidia.com/gpu": None}}
    profiles = {"gpu-24g": {"resources": resources}}
    with pytest.raises(RenderError, match=r"profiles\.gpu-24g has gpuMemoryGiB"):
        render({**one("0.5B", profile="gpu-24g"), "profiles": profiles})
    elsewhere = {**one("0.5B", profile="gpu-24g"), "profiles": profiles, **WARN}
    assert "WARNING: profiles.gpu-24g" in notes(elsewhere, tmp_path)


def test_memory_limit_is_what_a_cpu_model_has() -> None:
    assert render(one("1.8B", profile="cpu", maxModelLen=1024))
    with pytest.raises(RenderError, match=r"6\.0 GiB available"):
        render(one("4B", profile="cpu", maxModelLen=1024))


@pytest.mark.parametrize(
    "memory", [6 * 2**30, str(6 * 2**30), f"{6 * 2**30}000m", "6Gi", "6291456Ki", "6442451k"]
)
def test_memory_accepts_every_quantity(memory: int | str) -> None:
    profiles = {"cpu": {"resources": {"limits": {"memory": memory}}}}
    with pytest.raises(RenderError, match=r"6\.0 GiB available"):
        render({**one("4B", profile="cpu", maxModelLen=1024), "profiles": profiles})


def test_fit_errors_can_be_warnings(tmp_path: Path) -> None:
    values = {**one(profile="gpu-80g"), "fit": {"onFailure": "warn"}}
    assert render(values)
    assert "WARNING: models.one does not fit" in notes(values, tmp_path)


def test_all_fit_errors_are_reported_at_once() -> None:
    values = merge(one(profile="gpu-24g"), {"models": {"two": {"id": "Qwen/Qwen1.5-32B-Chat"}}})
    with pytest.raises(RenderError) as error:
        render(values)
    assert "models.one" in str(error.value)
    assert "models.two" in str(error.value)


def test_unknown_model_declares_parameters_and_shape() -> None:
    model = {
        "id": "me/mine",
        "profile": "gpu-24g",
        "parameters": 8_000_000_000,
        "maxModelLen": 4096,
    }
    assert render({"models": {"mine": model}})
    wide = {**model, "shape": {"layers": 80, "kvHeads": 64, "headDim": 128}}
    with pytest.raises(RenderError, match=r"8\.00 billion"):
        render({"models": {"mine": wide}})


def test_model_of_unknown_size_is_not_checked(tmp_path: Path) -> None:
    values = {"models": {"mine": {"id": "me/mine", "profile": "gpu-24g"}}}
    (row,) = [line for line in notes(values, tmp_path).splitlines() if line.startswith("mine ")]
    assert row.split()[1:3] == ["?", "?"]
    assert "unknown" in row


def test_kv_cache_on_cpus_has_the_calculated_size() -> None:
    """Without cgroup v2 the engine would measure the memory of the node, not of the pod."""
    small = named(render(EVERYTHING), "Deployment", "sizeup-small")
    variables = environment(containers(small["spec"]["template"])[-1])
    free = 6 - 620e6 * 2 / 2**30 - 0.75
    assert int(variables["SIZEUP_INFERENCE_KV_CACHE_BYTES"]) == pytest.approx(0.6 * free * 2**30)
    large = named(render(EVERYTHING), "Deployment", "sizeup-middle")
    assert "SIZEUP_INFERENCE_KV_CACHE_BYTES" not in environment(
        containers(large["spec"]["template"])[-1]
    )


def test_gpu_memory_fraction_is_the_engines() -> None:
    source = (
        Path(sizeup_inference.__file__).with_name("engine") / "loading" / "memory.py"
    ).read_text()
    assigned = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "_GPU_KV_SHARE"
    ]
    text = (CHART / "templates" / "_fit.tpl").read_text()
    assert f"ternary {assigned[0]} 0.6" in text


def test_ladder_matches_the_cli() -> None:
    """Names and parameters are duplicated in two files, which must agree."""
    known = yaml.safe_load((CHART / "files" / "ladder.yaml").read_text())
    assert [id for id, m in known.items() if m.get("context", 0) < 2048] == []
    ours = {id: (m["parameters"], m["names"]) for id, m in known.items()}
    source = yaml.safe_load((Path(sizeup.__file__).parent / "models" / "qwen.yaml").read_text())
    assert ours == {
        m["id"] if "/" in m["id"] else f"sizeup/{m['id']}": (m["parameters"], m["names"])
        for m in source["models"].values()
    }


@pytest.mark.parametrize("toy", ["toy-0.5m", "toy-2m", "toy-5m"])
def test_shapes_of_the_toy_models_match_their_config(toy: str) -> None:
    config = yaml.safe_load((CHART.parents[1] / "models/toy" / toy / "config.json").read_text())
    known = yaml.safe_load((CHART / "files" / "ladder.yaml").read_text())[f"sizeup/{toy}"]
    assert (known["layers"], known["kvHeads"], known["headDim"], known["context"]) == (
        config["num_hidden_layers"],
        config["num_key_value_heads"],
        config["hidden_size"] // config["num_attention_heads"],
        config["max_position_embeddings"],
    )


def test_weights_that_are_converted_before_they_are_quantized_count_as_converted() -> None:
    model = {"id": "Qwen/Qwen2.5-3B-Instruct", "profile": "cpu", "quantization": "int4"}
    assert render({"models": {"one": model}})
    with pytest.raises(RenderError, match="does not fit"):
        render({"models": {"one": {**model, "dtype": "float32"}}})


@pytest.mark.parametrize("setting", [{"quantization": "int4"}, {"draft": "small"}])
def test_no_count_is_suggested_that_is_refused(setting: dict[str, str]) -> None:
    small = {"id": "Qwen/Qwen2.5-0.5B-Instruct"}
    large = {"id": "Qwen/Qwen2.5-72B-Instruct", "profile": "gpu-24g"} | setting
    with pytest.raises(RenderError, match="does not fit") as refused:
        render({"models": {"one": large, "small": small}})
    assert "It fits" not in str(refused.value)
