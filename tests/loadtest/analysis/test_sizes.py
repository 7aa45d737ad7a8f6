import pytest

from sizeup_loadtest.analysis import sizes
from sizeup_loadtest.analysis.sizes import Size

NAMED = {
    "qwen2.5:7b": 7e9,
    "qwen2.5:0.5b": 0.5e9,
    "Qwen/Qwen2.5-0.5B-Instruct": 0.5e9,
    "toy:0.5m": 0.5e6,
    "SmolLM2-135M-Instruct": 135e6,
    "mixtral:8x7b": 56e9,
    "Mixtral-8x22B-v0.1": 176e9,
    "Qwen3-235B-A22B": 235e9,
    "qwen3:30b-a3b-q4_K_M": 30e9,
    "0.5b-instruct-q4_0": 0.5e9,
    "qwen2-0_5b-instruct-q8_0.gguf": 0.5e9,
    "llama_3_8b": 8e9,
    "Qwen2.5-7B-Instruct-1M": 7e9,
    "TinyLlama-1.1B-intermediate-step-1431k-3T": 1.1e9,
    "OLMoE-1B-7B-0924": 7e9,
    "kimi-k2:1t": 1e12,
    "command-r7b": 7e9,
    "llama7b": 7e9,
    "gemma3n:e4b": 4e9,
    "llama-7b-4bit": 7e9,
    "/models/70b/model": 70e9,
    "01-ai/Yi-6B": 6e9,
    "Llama-3.1-405B-Instruct-FP8": 405e9,
    "7.6B": 7.6e9,
    "494.03M": 494.03e6,
}
UNNAMED = (
    "v3", "gpt-4", "gpt-4o-2024-08-06", "llama-3.1", "deepseek-v3", "mistral:latest",
    "phi-3-mini-4k", "large", "qwen1.5-moe-a2.7b", "a3b", "model-q4_K_M", "0b", "w4a16", "b",
    "7bit", "20240101b", "",
)  # fmt: skip


@pytest.mark.parametrize(("name", "count"), NAMED.items())
def test_the_size_in_a_name(name: str, count: float) -> None:
    assert sizes.in_name(name) == round(count)


@pytest.mark.parametrize("name", UNNAMED)
def test_a_name_without_a_size(name: str) -> None:
    assert sizes.in_name(name) is None


def test_the_server_knows_best_then_the_config_then_the_name() -> None:
    assert sizes.size(494, 5e8, "m:7b") == Size(494, "server")
    assert sizes.size(None, 5e8, "m:7b") == Size(500_000_000, "config")
    assert sizes.size(None, None, "m:7b") == Size(7_000_000_000, "name")
    assert sizes.size(0, None, "gpt-4") is None
