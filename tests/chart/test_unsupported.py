"""Ids that the image cannot run, and the agreement with the programs that read the weights."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, RenderError, notes, of_kind, render
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.weights import LoadOptions, load_model
from sizeup_store.quantized_checkpoints import LOADABLE, refusal

LIST = yaml.safe_load((CHART / "files" / "unsupported.yaml").read_text())
LADDER = yaml.safe_load((CHART / "files" / "ladder.yaml").read_text())
QUANTIZED = [
    "Qwen/Qwen2.5-7B-Instruct-AWQ",
    "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4",
    "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8",
    "Qwen/Qwen3-8B-GGUF",
    "Qwen/QwQ-32B-AWQ",
    "Qwen/Qwen3-8B-MLX-8bit",
    "someone/Qwen3-8B-exl3",
    "mlx-community/Qwen3-8B-4bit",
    "someone/Qwen3-8B-unsloth-bnb-4bit",
    "someone/Llama-2-7B-AWQ",
]


def values(id: str, **model: Any) -> dict[str, Any]:
    return {"models": {"one": {"id": id, "profile": "gpu-80g", "maxModelLen": 1024, **model}}}


def rejection(id: str) -> str:
    """Return the error for an id."""
    with pytest.raises(RenderError, match=r"models\.one\.id") as refused:
        render(values(id))
    return str(refused.value)


@pytest.mark.parametrize("id", QUANTIZED)
def test_what_to_serve_instead_is_what_the_download_says(id: str) -> None:
    said = re.search(r"serve (.*) with quantization (\w+)", refusal(id, "AWQ"))
    assert said
    assert f"serve {said[1]} with quantization: {said[2]}" in rejection(id)


@pytest.mark.parametrize(
    ("id", "instead"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-VL-30B-A3B-Instruct-FP8", "Qwen/Qwen3-8B"),
        ("acme/qwen2-vl-invoices", "Qwen/Qwen3-8B"),
        ("Qwen/QVQ-72B-Preview", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen2-Audio-7B-Instruct", "Qwen/Qwen2-7B-Instruct"),
        ("Qwen/Qwen3-ASR-1.7B", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen2.5-Omni-7B", "Qwen/Qwen2.5-7B"),
        ("Qwen/Qwen3-Omni-30B-A3B-Instruct", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", "Qwen/Qwen3-30B-A3B-Instruct-2507"),
        ("Qwen/Qwen3-Coder-Next", "Qwen/Qwen3-30B-A3B-Instruct-2507"),
        ("Qwen/Qwen3.5-27B", "Qwen/Qwen3-30B-A3B-Instruct-2507"),
        ("Qwen/Qwen-7B-Chat", "Qwen/Qwen1.5-7B-Chat"),
        ("Qwen/Qwen-1_8B", "Qwen/Qwen1.5-7B-Chat"),
    ],
)
def test_families_that_are_not_text_models_are_rejected(id: str, instead: str) -> None:
    assert f"such as {instead}," in rejection(id)
    assert instead in LADDER


@pytest.mark.parametrize(
    "id",
    [
        "Qwen/Qwen3-8B-FP8",
        "RedHatAI/Qwen2.5-7B-Instruct-quantized.w4a16",
        "Qwen/Qwen3-Embedding-8B",
        "Qwen/Qwen3-Reranker-8B",
        "Qwen/Qwen1.5-MoE-A2.7B-Chat",
        "Qwen/Qwen2.5-Math-7B-Instruct",
        "acme/qwen2.5-7b-support",
        "acme/qwen-7b-vl-free",
        "acme/omni-qwen2.5-7b",
    ],
)
def test_what_the_engine_loads_is_accepted(id: str) -> None:
    assert render(values(id))


@pytest.mark.parametrize("id", LADDER)
def test_no_known_model_is_rejected(id: str) -> None:
    assert not re.search(LIST["quantized"]["pattern"], id)
    assert not [f["kind"] for f in LIST["families"] if re.search(f["pattern"], id)]


@pytest.mark.parametrize("model_type", [t for f in LIST["families"] for t in f["modelTypes"]])
def test_the_engine_refuses_every_family(model_type: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    options = LoadOptions(tmp_path, "cpu", "float32")
    match = "Unrecognized configuration|does not recognize|unsupported layer types"
    with pytest.raises((ValueError, LoadError), match=match):
        load_model(options)


def test_a_rejection_can_be_a_warning(tmp_path: Path) -> None:
    warned = {**values("someone/Qwen3-8B-awq-like-AWQ"), "fit": {"onFailure": "warn"}}
    assert "WARNING: models.one.id" in notes(warned, tmp_path)


def test_the_fake_engine_serves_every_id() -> None:
    assert render(values("Qwen/Qwen2.5-7B-Instruct-AWQ", engine="fake"))


def test_fp8_has_smaller_files_and_the_weights_of_its_dtype(tmp_path: Path) -> None:
    """It is dequantized when it is loaded; the files of Qwen3-8B-FP8 have 9.4 GB."""
    assert "fp8" in LOADABLE
    row = next(
        line.split()
        for line in notes(values("Qwen/Qwen3-8B-FP8"), tmp_path).splitlines()
        if line.startswith("one ")
    )
    assert row[1:3] == ["8.19B", "15.3Gi"]
    per_model = {**values("Qwen/Qwen3-8B-FP8"), "modelCache": {"mode": "perModel"}}
    (claim,) = of_kind(render(per_model), "PersistentVolumeClaim")
    assert claim["spec"]["resources"]["requests"]["storage"] == "12Gi"


def test_fp8_is_dequantized_before_it_is_quantized_on_a_cpu() -> None:
    id = "Qwen/Qwen3-4B"
    assert render(values(id, profile="cpu", quantization="int4"))
    with pytest.raises(RenderError, match="does not fit"):
        render(values(f"{id}-FP8", profile="cpu", quantization="int4"))


def test_fp8_has_no_name_of_the_model_that_it_was_made_from() -> None:
    both = values("Qwen/Qwen3-8B-FP8")
    both["models"]["two"] = {"id": "Qwen/Qwen3-8B", "profile": "gpu-80g", "maxModelLen": 1024}
    assert render(both)
