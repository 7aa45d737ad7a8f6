"""Users create, copy and delete models."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_inference import FakeInference, fake_inference
from gateway.harness import HUB_ID, MODEL, Gateway, running_gateway

Scenario = Callable[[Gateway, FakeInference], Awaitable[None]]
Json = dict[str, Any]


def managing(folder: Path | None, scenario: Scenario, **changes: Any) -> None:
    async def run() -> None:
        if folder is not None:
            changes["created_models"] = folder / "models.json"
        async with fake_inference() as fake, running_gateway(fake, **changes) as gateway:
            await scenario(gateway, fake)

    asyncio.run(run())


async def request(gateway: Gateway, method: str, path: str, body: Json) -> tuple[int, str]:
    data = json.dumps(body)
    async with gateway.http.request(method, gateway.url + path, data=data) as response:
        return response.status, await response.text()


async def create(gateway: Gateway, name: str, **fields: Any) -> None:
    body = {"model": name, "from": MODEL, "stream": False} | fields
    status, text = await request(gateway, "POST", "/api/create", body)
    assert (status, json.loads(text)) == (200, {"status": "success"})


async def tags(gateway: Gateway) -> dict[str, Json]:
    _, body = await gateway.get("/api/tags")
    return {model["name"]: model for model in body["models"]}


async def show(gateway: Gateway, name: str) -> Json:
    status, text = await request(gateway, "POST", "/api/show", {"model": name})
    assert status == 200
    found: Json = json.loads(text)
    return found


def test_a_copy_is_listed_and_answers_under_its_own_name(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        body = {"source": HUB_ID, "destination": "GPT-3.5-turbo"}
        assert await request(gateway, "POST", "/api/copy", body) == (200, "")
        listed = await tags(gateway)
        assert set(listed) == {MODEL, "GPT-3.5-turbo:latest"}
        assert listed["GPT-3.5-turbo:latest"]["digest"] == listed[MODEL]["digest"]
        _, models = await gateway.get("/v1/models")
        assert {model["id"] for model in models["data"]} == set(listed)
        for name in ("gpt-3.5-turbo", "library/GPT-3.5-turbo:latest"):
            assert (await gateway.get(f"/v1/models/{name}"))[1]["id"] == name
            chat = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
            for path in ("/api/chat", "/v1/chat/completions"):
                status, headers, text = await gateway.post(path, chat | {"stream": False})
                assert (status, json.loads(text)["model"]) == (200, name)
                assert headers["X-Sizeup-Model"] == MODEL

    managing(tmp_path, scenario)


def test_a_created_model_shows_what_it_was_made_of(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
        await create(
            gateway,
            "mario",
            system='Be "Mario".\nAlways.',
            parameters={"temperature": 0.25, "stop": ["<|x|>", "#"], "num_gpu": 1},
            messages=turns,
            license="MIT",
        )
        base, shown = await show(gateway, MODEL), await show(gateway, "mario")
        assert (shown["system"], shown["messages"]) == ('Be "Mario".\nAlways.', turns)
        assert shown["license"] == "MIT"
        lines = [line.split(maxsplit=1) for line in shown["parameters"].splitlines()]
        assert [value for name, value in lines if name == "stop"] == ['"<|x|>"', '"#"']
        assert ["temperature", "0.25"] in lines
        assert ["num_gpu", "1"] in lines
        assert {name for name, _ in lines} > {"num_ctx", "top_p"}
        assert len([name for name, _ in lines if name == "temperature"]) == 1
        assert shown["modelfile"].splitlines()[0] == f"FROM {MODEL}"
        assert 'SYSTEM """Be "Mario".\nAlways."""' in shown["modelfile"]
        for field in ("details", "model_info", "capabilities", "template"):
            assert shown[field] == base[field]
        listed = await tags(gateway)
        assert listed["mario:latest"]["digest"] != listed[MODEL]["digest"]

    managing(tmp_path, scenario)


def test_a_created_model_is_a_base_of_others(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        await create(gateway, "one", system="a", parameters={"temperature": 0.25, "top_k": 3})
        await create(gateway, "two", **{"from": "one", "parameters": {"top_k": 4}})
        await create(gateway, "three", **{"from": "two", "system": "b", "license": ["MIT"]})
        assert (await request(gateway, "DELETE", "/api/delete", {"model": "one"}))[0] == 200
        shown = await show(gateway, "three")
        assert (shown["system"], shown["license"]) == ("b", "MIT")
        chat = {"model": "three", "messages": [{"role": "user", "content": "hi"}], "stream": False}
        await gateway.post("/api/chat", chat)
        sampling = fake.requests[-1].sampling
        assert (sampling.temperature, sampling.top_k) == (0.25, 4)

    managing(tmp_path, scenario)


def test_creating_again_replaces_a_model_and_keeps_its_name(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        await create(gateway, "Bot", system="a")
        await create(gateway, "BOT:latest", system="b")
        assert set(await tags(gateway)) == {MODEL, "Bot:latest"}
        assert (await show(gateway, "bot"))["system"] == "b"

    managing(tmp_path, scenario)


@pytest.mark.parametrize("stream", [True, None])
def test_creation_streams_by_default(tmp_path: Path, stream: bool | None) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        body = {"model": "x", "from": MODEL, "stream": stream}
        status, headers, text = await gateway.post("/api/create", body)
        assert (status, headers["Content-Type"]) == (200, "application/x-ndjson")
        lines = [json.loads(line) for line in text.splitlines()]
        assert lines[-1] == {"status": "success"}

    managing(tmp_path, scenario)


def test_only_created_models_can_be_deleted(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        await create(gateway, "bot")
        for name in (MODEL, HUB_ID, "qwen2.5:smallest"):
            status, _ = await request(gateway, "DELETE", "/api/delete", {"model": name})
            assert status == 403, name
        assert await request(gateway, "DELETE", "/api/delete", {"name": "BOT"}) == (200, "")
        status, text = await request(gateway, "DELETE", "/api/delete", {"model": "BOT"})
        assert (status, json.loads(text)) == (404, {"error": "model 'BOT' not found"})
        assert (await request(gateway, "DELETE", "/api/delete", {"model": "a b"}))[0] == 400
        assert set(await tags(gateway)) == {MODEL}

    managing(tmp_path, scenario)


@pytest.mark.parametrize("name", [MODEL, HUB_ID, "QWEN2.5", "qwen2.5:0.5b-q4_0", "qwen2.5:largest"])
def test_a_name_of_the_catalog_cannot_be_taken(tmp_path: Path, name: str) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        copy = {"source": MODEL, "destination": name}
        assert (await request(gateway, "POST", "/api/copy", copy))[0] == 403
        create = {"model": name, "from": MODEL}
        assert (await request(gateway, "POST", "/api/create", create))[0] == 403

    managing(tmp_path, scenario)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "x"}, 400, "neither 'from' or 'files' was specified"),
        ({"model": "a b", "from": MODEL}, 400, "invalid model name"),
        ({"from": MODEL}, 400, "invalid model name"),
        ({"model": "x", "from": "a b"}, 400, "invalid model name"),
        ({"model": "x", "from": "nope"}, 404, "pull model manifest: file does not exist: 'nope'"),
        ({"model": "x", "from": MODEL, "template": "y"}, 400, "template is not"),
        ({"model": "x", "files": {"a": "sha256:0"}}, 400, "files is not"),
        ({"model": "x", "from": MODEL, "adapters": {"a": "b"}}, 400, "adapters is not"),
        ({"model": "x", "from": MODEL, "quantize": "q8_0"}, 400, "quantize is not"),
        (
            {"model": "x", "from": MODEL, "parameters": {"temperature": "hot"}},
            400,
            'option "temperature" must be of type float32',
        ),
        ({"model": "x", "from": MODEL, "parameters": {"heat": 1}}, 400, "unknown parameter 'heat'"),
        ({"model": "x", "from": MODEL, "parameters": {"num_gpu": []}}, 400, 'option "num_gpu"'),
        ({"model": "x", "from": MODEL, "messages": [{"role": "x"}]}, 400, "messages.0.role"),
        ({"model": "x", "from": MODEL, "license": [5]}, 400, "license.0"),
        ({"model": "x", "from": MODEL, "system": "s" * 2**18}, 400, "the model has more than"),
    ],
)
def test_what_cannot_be_created_is_rejected(
    tmp_path: Path, body: Json, status: int, text: str
) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        found = await request(gateway, "POST", "/api/create", body)
        assert found[0] == status
        assert json.loads(found[1])["error"].startswith(text)
        assert set(await tags(gateway)) == {MODEL}

    managing(tmp_path, scenario)


def test_empty_fields_of_older_clients_are_no_fields(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        empty = {"files": {}, "adapters": {}, "template": "", "quantize": "", "license": []}
        await create(gateway, "x", **empty, system="", parameters={}, messages=[])
        assert "system" not in await show(gateway, "x")

    managing(tmp_path, scenario)


@pytest.mark.parametrize(
    ("source", "destination", "status", "text"),
    [
        ("nope", "x", 404, 'model "nope" not found'),
        ("a b", "x", 400, 'source "a b" is invalid'),
        (MODEL, "a b", 400, 'destination "a b" is invalid'),
    ],
)
def test_what_cannot_be_copied_is_rejected(
    tmp_path: Path, source: str, destination: str, status: int, text: str
) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        body = {"source": source, "destination": destination}
        found = await request(gateway, "POST", "/api/copy", body)
        assert (found[0], json.loads(found[1])) == (status, {"error": text})

    managing(tmp_path, scenario)


def test_without_a_store_the_setting_is_named() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        for method, path, body in (
            ("POST", "/api/copy", {"source": MODEL, "destination": "x"}),
            ("POST", "/api/create", {"model": "x", "from": MODEL}),
            ("DELETE", "/api/delete", {"model": "x"}),
        ):
            status, text = await request(gateway, method, path, body)
            assert status == 501
            assert "SIZEUP_GATEWAY_CREATED_MODELS" in text

    managing(None, scenario)


def test_models_are_managed_with_an_api_key_only(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret")

    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        copy = {"source": MODEL, "destination": "x"}
        assert (await gateway.post("/api/copy", copy))[0] == 401
        key = {"Authorization": "Bearer secret"}
        assert (await gateway.post("/api/copy", copy, **key))[0] == 200

    managing(tmp_path, scenario, api_keys_file=keys)


def test_blobs_are_never_there(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        path = f"/api/blobs/sha256:{'0' * 64}"
        assert await request(gateway, "HEAD", path, {}) == (404, "")
        assert (await request(gateway, "HEAD", "/api/blobs/x", {}))[0] == 400
        assert (await request(gateway, "POST", path, {}))[0] == 501
        counted = {"model": "unknown", "route": "/api/blobs/{digest}"}
        for outcome in ("route_not_found", "invalid_request", "not_implemented"):
            assert gateway.sample("requests_total", outcome=outcome, **counted) == 1

    managing(tmp_path, scenario)
