"""Quantization with torchao, on the CPU: what it does there it does on a GPU."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from inference.engine.engines import random_model
from inference.engine.random_configs import random_config
from sizeup_inference.engine.loading import quantize_onto_gpu
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.quantize_onto_gpu import quantize_onto, stored_bytes
from sizeup_inference.engine.loading.weights import LoadOptions, load_model
from sizeup_inference.engine.quantization.formats import Format

torch.set_num_threads(1)

CPU = torch.device("cpu")
needs_torchao = pytest.mark.skipif(
    find_spec("torchao") is None, reason="the extra `gpu-quantization` is not installed"
)


@needs_torchao
@pytest.mark.parametrize("name", ["qwen2-mha-tied", "qwen3-gqa2-untied"])
def test_a_model_is_quantized(name: str) -> None:
    model = random_model(random_config(name)).bfloat16()
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        expected = model(ids).logits.float()
        before = sum(p.nbytes for p in model.model.layers.parameters())
        quantize_onto(model, Format.INT8, CPU)
        actual = model(ids).logits.float()
    assert 0 < (actual - expected).norm() < 0.1 * expected.norm()
    assert sum(stored_bytes(p) for p in model.model.layers.parameters()) < 0.65 * before


@needs_torchao
def test_a_wrong_product_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize_onto_gpu, "_TOLERANCE", {Format.INT8: 1e-6})
    with pytest.raises(LoadError, match="int8"):
        quantize_onto(random_model(random_config("qwen2-mha-tied")), Format.INT8, CPU)


class AnyQuantizer:
    """A torchao that is never used."""


def test_int4_needs_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize_onto_gpu, "import_module", lambda _name: AnyQuantizer)
    with pytest.raises(LoadError, match="bfloat16"):
        quantize_onto(random_model(random_config("qwen2-mha-tied")), Format.INT4, CPU)


def test_without_torchao_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(quantize_onto_gpu, "import_module", absent)
    with pytest.raises(LoadError, match=r"sizeup-inference\[gpu-quantization\]"):
        quantize_onto(random_model(random_config("qwen2-mha-tied")), Format.INT8, CPU)


def test_weights_that_need_several_gpus_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_model(random_config("qwen2-mha-tied")).save_pretrained(tmp_path)
    monkeypatch.setattr(
        "sizeup_inference.engine.loading.weights.free_gpu_bytes", lambda _device: [1000, 1000]
    )
    with pytest.raises(LoadError, match="one GPU"):
        load_model(LoadOptions(tmp_path, "auto", "auto", quantization=Format.INT4))
