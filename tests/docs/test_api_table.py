"""The tables of docs/api.md are complete, and true of a running gateway."""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import ollama._types as ollama_types
import pytest
from openai.types import completion_create_params as completion_params
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionDeveloperMessageParam,
    ChatCompletionFunctionMessageParam,
    ChatCompletionStreamOptionsParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionToolMessageParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat import completion_create_params as chat_params
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from starlette.routing import Route as AppRoute

from docs.api_table.rows import Route, Row
from docs.make_api import DIALECTS
from gateway.fake_inference import FakeInference, fake_inference, finished, model_info, started
from gateway.harness import Gateway, catalog, running_gateway, settings
from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.app import create_app
from sizeup_telemetry.drain import Drain
from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.events import Event, FinishReason, Text, Thinking, TokenLogprob
from sizeup_wire.generate import GenerateRequest

ROUTES: Mapping[tuple[str, str], Route] = {
    (route.method, route.path): route for _, routes in DIALECTS for route in routes
}
LISTED = {key: route for key, route in ROUTES.items() if route.rows}
LOGPROB = TokenLogprob(token="a", bytes=(97,), logprob=-0.5)
OF_EVERY_TYPE: Sequence[Any] = (5, 1.5, "x", True, [], {})
VOLATILE = re.compile(r'"(id|created|created_at|total_duration|load_duration)":("[^"]*"|\d+)')


def test_every_route_of_the_gateway_is_in_the_table() -> None:
    app = create_app(settings(), catalog(), CollectorRegistry(), Drain())
    routes = {
        (method, route.path_format.replace(":path", ""))
        for route in app.routes
        if isinstance(route, AppRoute) and re.match(r"/(api|v1)/|/$", route.path_format)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert routes == ROUTES.keys()


def bodies_of(annotation: Any) -> Iterator[type[RequestBody]]:
    """Yield the bodies in an annotation: those of lists, unions and Annotated too."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, RequestBody):
            yield annotation
        return
    inner = get_args(annotation)
    for one in inner[:1] if get_origin(annotation) is Annotated else inner:
        yield from bodies_of(one)


def fields_of(body: type[RequestBody], verdicts: Mapping[str, str], prefix: str = "") -> set[str]:
    """Return the dotted names of all fields, without those inside of ignored ones."""
    found: set[str] = set()
    for name, field in body.model_fields.items():
        path = prefix + (field.alias or name)
        found.add(path)
        if verdicts.get(path) == "honoured":
            for inner in bodies_of(field.annotation):
                found |= fields_of(inner, verdicts, f"{path}.")
    return found


@pytest.mark.parametrize("route", LISTED.values(), ids=lambda route: route.path)
def test_every_field_of_a_schema_has_one_row(route: Route) -> None:
    assert route.body is not None
    names = [row.name for row in route.rows]
    assert len(names) == len(set(names))
    missing = fields_of(route.body, {row.name: row.verdict for row in route.rows}) - {*names}
    assert not missing


def prefixed(prefix: str, fields: Mapping[str, Any]) -> set[str]:
    return {f"{prefix}{name}" for name in fields}


def of_model(model: type[BaseModel], prefix: str = "") -> set[str]:
    return prefixed(prefix, model.model_fields)


OLLAMA_OPTIONS = of_model(ollama_types.Options, "options.")
STREAM_OPTIONS = prefixed("stream_options.", get_type_hints(ChatCompletionStreamOptionsParam))
MESSAGE_PARAMS = (
    ChatCompletionAssistantMessageParam,
    ChatCompletionDeveloperMessageParam,
    ChatCompletionFunctionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionToolMessageParam,
    ChatCompletionUserMessageParam,
)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (
            "/api/chat",
            of_model(ollama_types.ChatRequest)
            | of_model(ollama_types.Message, "messages.")
            | OLLAMA_OPTIONS,
        ),
        ("/api/generate", of_model(ollama_types.GenerateRequest) | OLLAMA_OPTIONS),
        (
            "/v1/chat/completions",
            get_type_hints(chat_params.CompletionCreateParamsBase).keys()
            | {"stream"}
            | {name for p in MESSAGE_PARAMS for name in prefixed("messages.", get_type_hints(p))}
            | STREAM_OPTIONS,
        ),
        (
            "/v1/completions",
            get_type_hints(completion_params.CompletionCreateParamsBase).keys()
            | {"stream"}
            | STREAM_OPTIONS,
        ),
    ],
)
def test_every_field_of_the_official_clients_has_a_row(path: str, fields: set[str]) -> None:
    assert not fields - {row.name for row in ROUTES["POST", path].rows}


def put(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the body with a value at a path; a list counts as its last element."""
    body = copy.deepcopy(body)
    *parents, last = path.split(".")
    inner = body
    for parent in parents:
        inner = inner.setdefault(parent, {})
        inner = inner[-1] if isinstance(inner, list) else inner
    inner[last] = value
    return body


def without(body: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the body without the value at a path, and without what is empty then."""
    body = copy.deepcopy(body)
    *parents, last = path.split(".")
    inner: Any = body
    for parent in parents:
        inner = inner[parent][-1] if isinstance(inner[parent], list) else inner[parent]
    del inner[last]
    if len(parents) == 1 and not body[parents[0]]:
        del body[parents[0]]
    return body


async def respond(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    yield Thinking(text="hm")
    for choice in range(request.n):
        logprobs = () if request.logprobs is None else (LOGPROB,)
        yield Text(choice=choice, text="a", logprobs=logprobs)
    yield finished(request.n, *[FinishReason.STOP] * request.n)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a request leads to."""

    status: int
    wires: tuple[GenerateRequest | EmbedRequest, ...]
    response: str


async def observe(
    gateway: Gateway, fake: FakeInference, route: Route, body: dict[str, Any]
) -> Observed:
    fake.requests.clear()
    fake.embed_requests.clear()
    status, _, text = await gateway.post(route.path, body)
    return Observed(status, (*fake.requests, *fake.embed_requests), VOLATILE.sub("", text))


async def assert_true(gateway: Gateway, fake: FakeInference, route: Route, row: Row) -> None:
    """Post the example of a row, with the field and without it."""
    given = put({**route.base, **row.beside}, row.name, row.example)
    changed = await observe(gateway, fake, route, given)
    plain = await observe(gateway, fake, route, without(given, row.name))
    if row.verdict == "refused":
        assert (changed.status, plain.status) == (400, 200), row.name
        if route.path.startswith("/v1"):
            assert json.loads(changed.response)["error"]["param"] == row.name.replace(
                "messages.", f"messages.{len(given.get('messages', ())) - 1}."
            )
        return
    assert changed.status == 200, (row.name, changed.response)
    assert (changed == plain) == (row.verdict == "ignored"), (row.name, changed)


@pytest.mark.parametrize("route", LISTED.values(), ids=lambda route: route.path)
def test_every_verdict_is_true_of_a_running_gateway(route: Route) -> None:
    info = model_info(capabilities=("completion", "insert", "thinking", "tools"))

    async def scenario() -> None:
        async with fake_inference(respond, info) as fake, running_gateway(fake) as gateway:
            fake.details = b"[]\n[]\n[]\n[]\n"
            for row in route.rows:
                await assert_true(gateway, fake, route, row)

    asyncio.run(scenario())


@pytest.mark.parametrize("route", LISTED.values(), ids=lambda route: route.path)
def test_every_field_of_a_schema_is_checked(route: Route) -> None:
    """No field accepts values of every type, and none leads to an internal error."""
    assert route.body is not None
    known = fields_of(route.body, {row.name: row.verdict for row in route.rows})

    async def scenario() -> None:
        async with fake_inference(respond) as fake, running_gateway(fake) as gateway:
            for row in route.rows:
                statuses = set()
                for value in OF_EVERY_TYPE:
                    body = put({**route.base, **row.beside}, row.name, value)
                    statuses.add((await gateway.post(route.path, body))[0])
                assert statuses <= {200, 400, 404}, row.name
                assert 400 in statuses or row.name not in known, row.name

    asyncio.run(scenario())


def test_routes_that_are_not_supported_have_the_stated_status() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            for (method, path), route in ROUTES.items():
                if route.status == 200:
                    continue
                url = gateway.url + re.sub(r"\{\w+\}", "x", path)
                async with gateway.http.request(method, url, data=b"{}") as response:
                    assert response.status == route.status, path

    asyncio.run(scenario())
