"""Loading a model folder, and the choice of devices and memory."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from inference.small_model import small_model
from sizeup_inference.engine.forwards.attention import ATTENTION_NAME
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.weights import (
    LoadOptions,
    choose_device_map,
    free_gpu_bytes,
    load_model,
)

torch.set_num_threads(1)

CPU, GPU_0, GPU_1 = torch.device("cpu"), torch.device("cuda:0"), torch.device("cuda:1")
Weights = dict[str, torch.Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_model().save_pretrained(tmp_path)
    return tmp_path


def change_weights(folder: Path, change: Callable[[Weights], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("device", "weights", "gpus", "expected"),
    [
        ("cpu", 1, [], {"": "cpu"}),
        ("cpu", 1, [100], {"": "cpu"}),
        ("auto", 1, [], {"": "cpu"}),
        ("auto", 80, [100], {"": "cuda:0"}),
        ("auto", 80, [100, 100], {"": "cuda:0"}),
        ("auto", 81, [100, 100], "auto"),
        ("auto", 81, [100], {"": "cuda:0"}),
        ("cuda", 80, [100, 100], {"": "cuda:0"}),
        ("cuda", 81, [100, 100], "auto"),
        ("cuda:1", 500, [100, 100], {"": "cuda:1"}),
    ],
)
def test_layers_are_placed_by_device_and_memory(
    device: str, weights: int, gpus: list[int], expected: str | Mapping[str, str]
) -> None:
    assert choose_device_map(device, weights, gpus) == expected


@pytest.mark.parametrize(
    ("device", "gpus"), [("cuda", []), ("cuda:0", []), ("cuda:2", [9, 9]), ("tpu", [9]), ("", [])]
)
def test_a_missing_device_is_rejected(device: str, gpus: list[int]) -> None:
    with pytest.raises(LoadError, match=rf"'{device}' not found: {len(gpus)} GPU"):
        choose_device_map(device, 1, gpus)


@pytest.mark.parametrize(
    ("device", "requested"), [("cpu", []), ("cuda:1", []), ("auto", [0, 1]), ("cuda", [0, 1])]
)
def test_only_gpus_that_may_be_chosen_are_queried(
    device: str, requested: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def mem_get_info(gpu: int) -> tuple[int, int]:
        calls.append(gpu)
        return 70 + gpu, 100

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    assert list(free_gpu_bytes(device))[: len(requested)] == [70 + gpu for gpu in requested]
    assert calls == requested
    assert choose_device_map(device, 1, free_gpu_bytes(device))


def test_loaded_weights_equal_the_saved_ones(folder: Path) -> None:
    saved, loaded = small_model(), load_model(LoadOptions(folder, "cpu", "auto"))
    assert loaded.dtype == torch.float32
    assert not loaded.training
    assert loaded.config._attn_implementation == ATTENTION_NAME
    for name, weight in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)


@pytest.mark.parametrize(
    ("requested", "expected"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_loads_in_the_requested_dtype(folder: Path, requested: str, expected: torch.dtype) -> None:
    model = load_model(LoadOptions(folder, "cpu", requested))
    assert {p.dtype for p in model.parameters()} == {expected}


def test_auto_is_the_dtype_of_the_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    assert load_model(LoadOptions(folder, "cpu", "auto")).dtype == torch.bfloat16


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("shard_size", ["1GB", "20KB"])
def test_weights_in_the_dtype_of_the_file_are_mapped(tmp_path: Path, shard_size: str) -> None:
    small_model().save_pretrained(tmp_path, max_shard_size=shard_size)
    model = load_model(LoadOptions(tmp_path, "cpu", "auto"))
    mapped = mapped_ranges(tmp_path)
    for name, parameter in model.named_parameters():
        assert any(parameter.data_ptr() in addresses for addresses in mapped), name


def mapped_ranges(folder: Path) -> list[range]:
    """Return the addresses of this process at which files of a folder are mapped."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    bounds = [line[0].split("-") for line in lines if line[-1].startswith(f"{folder.resolve()}/")]
    return [range(int(first, 16), int(last, 16)) for first, last in bounds]


def test_loading_writes_no_progress_bar(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_model(LoadOptions(folder, "cpu", "auto"))
    assert capfd.readouterr() == ("", "")


def test_a_missing_device_is_rejected_before_files_are_read(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="'cuda:99' not found"):
        load_model(LoadOptions(tmp_path, "cuda:99", "auto"))


def test_a_folder_with_pickled_weights_only_is_rejected(folder: Path) -> None:
    torch.save(small_model().state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"model\.safetensors"):
        load_model(LoadOptions(folder, "cpu", "auto"))


@pytest.mark.parametrize("kind", ["qwen3_5_text", "qwen3_next"])
def test_unsupported_layer_types_are_rejected_before_loading_weights(
    tmp_path: Path, kind: str
) -> None:
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(LoadError, match=f"{kind} .*: linear_attention"):
        load_model(LoadOptions(tmp_path, "cpu", "auto"))


def test_attention_softcapping_is_rejected(tmp_path: Path) -> None:
    AutoConfig.for_model("gemma2").save_pretrained(tmp_path)
    with pytest.raises(LoadError, match=r"gemma2 .*softcapping"):
        load_model(LoadOptions(tmp_path, "cpu", "auto"))


def test_a_missing_weight_is_rejected(folder: Path) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    change_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(LoadError, match=f"1 weights are missing .*{name}"):
        load_model(LoadOptions(folder, "cpu", "auto"))


def test_a_weight_of_the_wrong_shape_is_rejected(folder: Path) -> None:
    wrong = {"model.norm.weight": torch.zeros(3)}
    change_weights(folder, lambda weights: weights.update(wrong))
    with pytest.raises(RuntimeError, match="mismatched_sizes"):
        load_model(LoadOptions(folder, "cpu", "auto"))


def test_offloaded_layers_are_rejected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """accelerate keeps offloaded weights on the meta device between steps."""

    def from_pretrained(*_: object, **__: object) -> tuple[PreTrainedModel, dict[str, list[str]]]:
        model = small_model()
        model.get_decoder().layers[1].to("meta")  # type: ignore[no-untyped-call]
        return model, {"missing_keys": []}

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    with pytest.raises(LoadError, match="insufficient GPU memory: 12 weights"):
        load_model(LoadOptions(folder, "cpu", "auto"))
