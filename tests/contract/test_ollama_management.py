"""The official Ollama client creates, copies, pulls and deletes models."""

from pathlib import Path
from typing import Any

import ollama
import pytest

from contract.test_ollama_client import MESSAGES, TEXT, run, stream_of
from gateway.fake_inference import FakeInference
from gateway.harness import MODEL, background_gateway
from sizeup_wire.generate import ChatPrompt

STREAM = pytest.mark.parametrize("stream", [False, True])
TURNS = [ollama.Message(role="user", content="1+1?"), ollama.Message(role="assistant", content="2")]


FIELDS: dict[str, Any] = {
    "from_": MODEL,
    "system": "Be Mario.",
    "parameters": ollama.Options(temperature=0.25, num_ctx=512, seed=42, stop=["#"]),
    "messages": TURNS,
    "license": ["MIT", "more"],
}


@STREAM
def test_a_preset_is_created_shown_used_and_deleted(tmp_path: Path, stream: bool) -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        if stream:
            parts = await stream_of(await client.create("mario", **FIELDS, stream=True))
            assert parts[-1].status == "success"
        else:
            assert (await client.create("mario", **FIELDS)).status == "success"
        listed = {model.model: model for model in (await client.list()).models}
        assert set(listed) == {MODEL, "mario:latest"}
        assert listed["mario:latest"].size == listed[MODEL].size
        shown = await client.show("mario")
        assert (shown.modelfile or "").startswith(f"FROM {MODEL}\n")
        assert shown.license == "MIT\nmore"
        assert shown.modelinfo == (await client.show(MODEL)).modelinfo
        response = await client.chat("mario", MESSAGES)
        assert (response.model, response.message.content) == ("mario", TEXT)
        assert (await client.generate("Mario:latest", "hi")).model == "Mario:latest"
        assert (await client.delete("mario")).status == "success"
        with pytest.raises(ollama.ResponseError, match="not found"):
            await client.show("mario")

    chat, generate = run(scenario, created_models=tmp_path / "models.json")
    for request in (chat, generate):
        assert isinstance(request.prompt, ChatPrompt)
        turns = [(message.role, message.content) for message in request.prompt.messages]
        own = [("system", "Be Mario."), ("user", "1+1?"), ("assistant", "2")]
        assert turns == [*own, ("user", "hi")]
        assert (request.sampling.temperature, request.max_context) == (0.25, 512)
        assert (request.seed, request.stop) == (42, ("#",))


@STREAM
def test_a_served_model_is_pulled(stream: bool) -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        if stream:
            parts = await stream_of(await client.pull(MODEL, stream=True))
            assert [part.status for part in parts][-1] == "success"
            assert parts[1].total == parts[1].completed == 988_065_536
        else:
            assert (await client.pull(MODEL)).status == "success"
        with pytest.raises(ollama.ResponseError, match="file does not exist: 'llama3'"):
            await (
                stream_of(await client.pull("llama3", stream=True))
                if stream
                else client.pull("llama3")
            )

    run(scenario)


def test_a_copy_is_an_alias(tmp_path: Path) -> None:
    async def scenario(client: ollama.AsyncClient) -> None:
        assert (await client.copy(MODEL, "gpt-3.5-turbo")).status == "success"
        assert (await client.chat("gpt-3.5-turbo", MESSAGES)).message.content == TEXT
        with pytest.raises(ollama.ResponseError) as unknown:
            await client.copy("nope", "x")
        assert unknown.value.status_code == 404
        for name in (MODEL, "gpt-3.5-turbo"):
            assert (await client.pull(name)).status == "success"
        with pytest.raises(ollama.ResponseError) as operators:
            await client.delete(MODEL)
        assert operators.value.status_code == 403

    run(scenario, created_models=tmp_path / "models.json")


def test_files_and_a_registry_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"GGUF")

    async def scenario(client: ollama.AsyncClient) -> None:
        for refused in (client.create_blob(file), client.push(MODEL)):
            with pytest.raises(ollama.ResponseError) as error:
                await refused
            assert error.value.status_code == 501

    run(scenario, created_models=tmp_path / "models.json")


@STREAM
def test_the_synchronous_client_manages_models_too(tmp_path: Path, stream: bool) -> None:
    path = tmp_path / "models.json"
    with (
        background_gateway(FakeInference, created_models=path) as url,
        ollama.Client(host=url) as client,
    ):
        if stream:
            statuses = [part.status for part in client.create("a", from_=MODEL, stream=True)]
            statuses += [part.status for part in client.pull("a", stream=True)]
        else:
            statuses = [client.create("a", from_=MODEL).status, client.pull("a").status]
        assert statuses[-1] == "success"
        assert client.copy("a", "b").status == "success"
        assert {model.model for model in client.list().models} == {MODEL, "a:latest", "b:latest"}
        assert client.show("b").modelfile == f"FROM {MODEL}\n"
        assert client.delete("a").status == client.delete("b").status == "success"
