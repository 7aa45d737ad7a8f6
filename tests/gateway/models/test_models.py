"""Descriptions of the models."""

import asyncio
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from gateway.fake_deployment import placed
from gateway.fake_inference import fake_inference, model_info
from gateway.harness import HUB_ID, KEY, MODEL, catalog, running_gateway, settings, until
from sizeup_gateway.api.ollama.describe import human_count, to_show
from sizeup_gateway.app import create_app
from sizeup_gateway.models.catalog import Models
from sizeup_telemetry.drain import Drain
from sizeup_wire.catalog import Catalog, CatalogEntry, ScaleToZero

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_heartbeat_and_version_serve_get_and_head() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            for path in ("/", "/api/version", "/api/tags", "/v1/models"):
                async with gateway.http.head(gateway.url + path) as response:
                    assert (response.status, await response.read()) == (200, b"")
            async with gateway.http.get(gateway.url) as response:
                assert await response.text() == "Ollama is running"
                assert response.headers["Content-Type"].startswith("text/plain")
            _, body = await gateway.get("/api/version")
            assert tuple(int(part) for part in body["version"].split(".")) >= (0, 6, 4)
            _, health = await gateway.get("/health")
            assert health["replicas_ready"] == {KEY: 1}

    asyncio.run(scenario())


def test_a_model_that_was_never_ready_is_listed_from_the_catalog() -> None:
    async def scenario() -> None:
        models = Catalog(
            models={"big": CatalogEntry(id="Qwen/Big", names=("big",), parameters=7_000_000_000)}
        )
        async with running_gateway(models=models, wait=False) as gateway:
            _, body = await gateway.get("/api/tags")
            (tag,) = body["models"]
            assert (tag["name"], tag["model"]) == ("big:latest", "big:latest")
            assert tag["details"]["parameter_size"] == "7.0B"
            assert len(tag["digest"]) == 64
            datetime.fromisoformat(tag["modified_at"])
            assert (await gateway.get("/api/ps"))[1] == {"models": []}
            _, listed = await gateway.get("/v1/models")
            assert [model["id"] for model in listed["data"]] == ["big:latest"]
            status, _, _ = await gateway.post("/api/show", {"model": "big"})
            assert status == 200

    asyncio.run(scenario())


def test_an_empty_catalog_lists_nothing() -> None:
    async def scenario() -> None:
        async with running_gateway(models=Catalog(models={}), wait=False) as gateway:
            assert (await gateway.get("/api/tags"))[1] == {"models": []}
            assert (await gateway.get("/v1/models"))[1] == {"object": "list", "data": []}

    asyncio.run(scenario())


def test_a_model_keeps_its_description_when_its_replica_goes_down() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            fake.ready = False
            await until(lambda: gateway.sample("replicas_ready", model=KEY) == 0)
            _, tags = await gateway.get("/api/tags")
            assert tags["models"][0]["size"] == 988_065_536
            assert (await gateway.get("/api/ps"))[1] == {"models": []}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "name", [MODEL, "qwen2.5", "qwen2.5:latest", HUB_ID, HUB_ID.lower(), f"hf.co/{HUB_ID}", KEY]
)
def test_responses_repeat_the_name_in_the_request(name: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            body = {"model": name, "messages": [{"role": "user", "content": "x"}], "stream": False}
            _, _, text = await gateway.post("/api/chat", body)
            assert f'"model":"{name}"' in text
            _, _, text = await gateway.post("/v1/chat/completions", body)
            assert f'"model":"{name}"' in text
            assert (await gateway.get(f"/v1/models/{name}"))[1]["id"] == name

    asyncio.run(scenario())


def test_show_has_the_fields_that_clients_read() -> None:
    model = Models(catalog()).by_key[KEY]
    model.info = model_info()
    shown = to_show(model, "my-name", "GitHubCopilotChat/1.0", NOW)
    assert shown["model_info"]["general.basename"] == "my-name"
    assert shown["model_info"]["general.architecture"] == "qwen2"
    assert shown["model_info"]["qwen2.attention.head_count_kv"] == 2
    assert "temperature                    0.7" in shown["parameters"]
    assert shown["modelfile"].startswith(f"FROM {HUB_ID}\n")
    assert shown["modified_at"] == "2026-01-02T03:04:05.678901Z"
    model.info = None
    assert to_show(model, "x", "", NOW)["model_info"] == {}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (500_000, "500.00K"), (494_032_768, "494.03M"), (7e9, "7.0B")],
)
def test_counts_are_formatted_like_ollamas(count: float, text: str) -> None:
    assert human_count(int(count)) == text


def test_a_service_requires_kubernetes_discovery() -> None:
    with pytest.raises(ValueError, match="SIZEUP_GATEWAY_DISCOVERY=kubernetes"):
        create_app(settings(), placed(), CollectorRegistry(), Drain())
    create_app(settings(), Catalog(models={}), CollectorRegistry(), Drain())


def test_scaling_to_zero_requires_something_that_scales() -> None:
    scale = ScaleToZero(deployment="model-0", startup_seconds=600)
    entry = CatalogEntry(id="x", names=("x:1",), replicas=("http://a",), scale_to_zero=scale)
    with pytest.raises(ValueError, match="SIZEUP_GATEWAY_SCALE_SOCKET"):
        create_app(settings(), Catalog(models={"x": entry}), CollectorRegistry(), Drain())
