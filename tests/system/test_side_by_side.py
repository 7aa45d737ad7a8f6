"""Two models behind one gateway, each served by its own process."""

import json

import aiohttp
import pytest
from yarl import URL

from system.deployment import Deployment
from system.models import ENDLESS, TOY, TOY_ID
from system.requests import Json, chat, get, post, run

LISTED = {TOY, f"{ENDLESS}:latest"}


def test_both_apis_list_both_models(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        tags = await get(http, f"{serving.url}/api/tags")
        assert {model["model"] for model in tags["models"]} == LISTED
        models = await get(http, f"{serving.url}/v1/models")
        assert {model["id"] for model in models["data"]} == LISTED

    run(scenario)


@pytest.mark.parametrize("name", [ENDLESS, ENDLESS.replace("/", "%2F"), TOY])
def test_a_model_is_retrieved_by_its_id(serving: Deployment, name: str) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        model = await get(http, URL(f"{serving.url}/v1/models/{name}", encoded=True))
        assert model["id"] == name.replace("%2F", "/")
        assert model["object"] == "model"

    run(scenario)


@pytest.mark.parametrize(("name", "id_"), [(TOY, TOY_ID), (ENDLESS, ENDLESS)])
def test_a_request_is_served_by_the_process_of_its_model(
    serving: Deployment, name: str, id_: str
) -> None:
    async def computed(http: aiohttp.ClientSession) -> dict[str, int]:
        urls = {model: serving.inference_url(model) for model in (TOY_ID, ENDLESS)}
        return {
            model: (await get(http, f"{url}/internal/v1/stats"))["completion_tokens"]
            for model, url in urls.items()
        }

    async def scenario(http: aiohttp.ClientSession) -> None:
        before = await computed(http)
        reply = await post(
            http, f"{serving.url}/v1/chat/completions", chat(name, "Hello", max_tokens=5)
        )
        assert reply["model"] == name
        generated = reply["usage"]["completion_tokens"]
        assert await computed(http) == before | {id_: before[id_] + generated}

    run(scenario)


def test_an_unknown_model_is_an_error_in_both_apis(serving: Deployment) -> None:
    async def refused(http: aiohttp.ClientSession, path: str) -> Json:
        async with http.post(serving.url + path, json=chat("toy:9t", "Hello")) as response:
            assert response.status == 404
            reply: Json = json.loads(await response.text())
            return reply

    async def scenario(http: aiohttp.ClientSession) -> None:
        assert set(await refused(http, "/api/chat")) == {"error"}
        reply = await refused(http, "/v1/chat/completions")
        assert reply["error"]["code"] == "model_not_found"
        async with http.get(f"{serving.url}/v1/models/toy:9t") as response:
            assert response.status == 404

    run(scenario)
