from dataclasses import replace

import pytest

from sizeup_loadtest.analysis import served_models
from sizeup_loadtest.analysis.served_models import Choice, ServedModel, from_ollama, from_openai


def names(choice: Choice) -> list[str]:
    return [model.name for model in choice.models]


def test_models_that_are_named_are_taken_whatever_they_are() -> None:
    listed = [from_openai({"id": name}) for name in ("bge-m3", "a:7b", "b:1b")]
    assert names(served_models.choose(listed, ["bge-m3", "a:7b"])) == ["bge-m3", "a:7b"]


def test_models_are_ordered_by_size_and_many_are_thinned_out() -> None:
    sizes = (72, 0.5, 3, 1.5, 14, 7, 32)
    listed = [from_openai({"id": f"qwen2.5:{size}b"}) for size in sizes]
    choice = served_models.choose(listed, most=3)
    assert names(choice) == ["qwen2.5:0.5b", "qwen2.5:7b", "qwen2.5:72b"]
    assert len(choice.left_out) == 4
    assert len(served_models.choose(listed).models) == served_models.MAX_MODELS


def test_names_of_the_same_weights_are_compared_once() -> None:
    tags = [{"name": name, "digest": "d"} for name in ("qwen2.5:latest", "qwen2.5:7b", "mine")]
    choice = served_models.choose(from_ollama(tag, {}, 7_600_000_000) for tag in tags)
    assert names(choice) == ["qwen2.5:7b"]
    assert choice.left_out.keys() == {"qwen2.5", "mine"}
    served = [from_openai({"id": name, "root": "Qwen/Qwen2.5-7B"}) for name in ("a", "b")]
    assert names(served_models.choose(served)) == ["a"]
    elsewhere = [replace(model, url=f"http://{model.name}") for model in served]
    assert names(served_models.choose(elsewhere)) == ["a", "b"]


def test_an_adapter_is_no_size_of_its_own() -> None:
    base = {"id": "base", "root": "Qwen/Qwen2.5-7B", "parent": None}
    adapter = {"id": "sql", "root": "/adapters/sql", "parent": "base"}
    choice = served_models.choose([from_openai(adapter), from_openai(base)])
    assert (names(choice), choice.left_out) == (["base"], {"sql": "adapter of base"})


@pytest.mark.parametrize(
    "name",
    [
        "nomic-embed-text:latest",
        "BAAI/bge-m3",
        "intfloat/e5-large",
        "Qwen/Qwen3-Reranker-0.6B",
        "all-minilm:33m",
        "whisper-1",
        "tts-1",
        "dall-e-3",
        "omni-moderation-latest",
    ],
)
def test_what_does_not_chat_is_left_out_by_name(name: str) -> None:
    assert names(served_models.choose([from_openai({"id": name})])) == []
    assert names(served_models.choose([from_ollama({"name": name}, {}, None)])) == []


def test_what_the_server_says_precedes_the_name() -> None:
    tag = {"name": "my-embedder-chat:1b"}
    assert from_ollama(tag, {"capabilities": ["completion"]}, None).excluded is None
    assert from_ollama({"name": "x"}, {"capabilities": ["embedding"]}, None).excluded
    assert from_ollama({"name": "big-cloud", "remote_host": "https://o"}, {}, None).excluded


def test_the_size_comes_from_the_server_then_the_name_then_the_weights() -> None:
    assert from_ollama({"name": "a:7b"}, {}, 494).parameters == 494
    assert from_ollama({"name": "a:7b"}, {}, None).parameters == 7_000_000_000
    assert from_openai({"id": "chat", "root": "Qwen/Qwen2.5-7B"}).parameters == 7_000_000_000
    assert from_openai({"id": "chat"}) == ServedModel("chat")
