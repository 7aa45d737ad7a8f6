"""The OpenAPI document matches what the process serves."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry

from inference.serving import chat_prompt, running, text_prompt
from sizeup_inference.app import Composition, create_app
from sizeup_inference.settings import Settings
from sizeup_telemetry.drain import Drain
from sizeup_wire import routes as paths

BODIES: dict[str, dict[str, Any]] = {
    paths.GENERATE: {"prompt": chat_prompt("hi"), "n": 2, "sampling": {"logit_bias": {"3": 1.0}}},
    paths.EMBEDDINGS: {"prompts": [text_prompt("a"), {"kind": "tokens", "token_ids": [1]}]},
    paths.TOKENIZE: {"prompt": {"kind": "auto", "text": "hi"}},
    paths.KEEP_ALIVE: {"keep_alive_seconds": 300},
}
"""A request of each route with a body."""


STREAMS = (paths.GENERATE, paths.EMBEDDINGS, paths.MODEL_DETAILS, paths.METRICS)
"""Responses that are not one JSON value."""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    settings = Settings(model="fake", engine="fake")
    return create_app(Composition(settings, Drain(), CollectorRegistry(), lambda: None))


def validator(app: FastAPI, schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema | {"components": app.openapi()["components"]})


def operations(app: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in app.openapi()["paths"].items():
        for operation in item.values():
            yield path, operation


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_route_is_documented(app: FastAPI) -> None:
    served = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
        if method != "HEAD"
    }
    documented = {(p, m) for p, item in app.openapi()["paths"].items() for m in item}
    assert served == documented
    assert {path for path, _ in served} == {
        value for name, value in vars(paths).items() if name.isupper()
    }


def test_every_reference_resolves(app: FastAPI) -> None:
    document = app.openapi()
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) == schemas


def test_every_operation_documents_its_bodies_and_errors(app: FastAPI) -> None:
    for path, operation in operations(app):
        assert "content" in operation["responses"]["200"], path
        assert ("requestBody" in operation) == (path in BODIES)
        if path in BODIES:
            assert {"400", "413", "500", "503"} <= operation["responses"].keys()


@pytest.mark.parametrize("path", BODIES)
def test_requests_match_their_schemas(app: FastAPI, path: str) -> None:
    (operation,) = (operation for p, operation in operations(app) if p == path)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert validator(app, schema).is_valid(BODIES[path])
    assert not validator(app, schema).is_valid(BODIES[path] | {"unknown": 1})


def test_responses_match_their_schemas(app: FastAPI) -> None:
    async def scenario() -> None:
        async with running() as process:
            for path, operation in operations(app):
                if path in STREAMS:
                    continue
                responses = operation["responses"]
                send = process.post(path, BODIES[path]) if path in BODIES else process.get(path)
                status, body = await send
                assert status == 200
                check(app, responses["200"], body)
                if path in BODIES:
                    status, body = await process.post(path, {})
                    assert status == 400
                    check(app, responses["400"], body)

    asyncio.run(scenario())


def check(app: FastAPI, response: dict[str, Any], body: object) -> None:
    validator(app, response["content"]["application/json"]["schema"]).validate(body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (paths.GENERATE, {"prompt": text_prompt("hi"), "echo": True, "logprobs": 1}),
        (paths.EMBEDDINGS, BODIES[paths.EMBEDDINGS]),
    ],
)
def test_every_line_of_a_stream_matches_its_schema(
    app: FastAPI, path: str, body: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with (
            running() as process,
            process.http.post(process.url + path, json=body) as response,
        ):
            lines = [json.loads(one) async for one in response.content]
        assert len(lines) >= 3
        for one in lines:
            line.validate(one)

    response = app.openapi()["paths"][path]["post"]["responses"]["200"]
    stream = response["content"]["application/x-ndjson"]["schema"]
    assert stream["contentMediaType"] == "application/json"
    line = validator(app, stream["contentSchema"])
    asyncio.run(scenario())


@pytest.mark.parametrize(("enabled", "status"), [(True, 200), (False, 404)])
def test_a_setting_switches_the_document_and_the_page(enabled: bool, status: int) -> None:
    async def scenario() -> None:
        async with running(api_docs=enabled) as process:
            for path in ("/openapi.json", "/docs"):
                async with process.http.get(process.url + path) as response:
                    assert response.status == status

    asyncio.run(scenario())


def test_head_is_served_where_get_is() -> None:
    async def scenario() -> None:
        async with running() as process:
            for path in (paths.LIVEZ, paths.READYZ, paths.MODEL, paths.STATS, paths.METRICS):
                async with process.http.head(process.url + path) as response:
                    assert response.status == 200

    asyncio.run(scenario())
