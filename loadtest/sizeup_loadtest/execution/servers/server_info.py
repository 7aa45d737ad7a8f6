"""Model metadata from the server, outside the measured requests."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from sizeup_loadtest.analysis import sizes
from sizeup_loadtest.client.error_response import connection_error
from sizeup_loadtest.client.response import as_count, as_mapping
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Api
from sizeup_loadtest.data.results import ModelInfo
from sizeup_loadtest.errors import TargetError

TIMEOUT_SECONDS = 10.0

_NOT_OLLAMA = frozenset({"sizeup", "vllm", "sglang", "llamacpp", "llama-swap", "koboldcpp"})
"""Owners of models by /v1/models; that of Ollama is `library`, or the model's namespace."""

_NS = 1e-9

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    openai: Sequence[Json]
    """Entries of /v1/models."""
    ollama: Sequence[Json]
    """Entries of /api/tags."""
    failed: Sequence[str] = ()
    """Lists that the server has and does not give, as without a key."""


async def connect(config: Config) -> Config:
    """Check every server, and return the config with the API of each.

    TargetError when a server is unreachable or does not list its model. One that lists no models in
    either API is not checked.
    """
    models, servers = [], config.servers
    async with aiohttp.ClientSession() as session:
        for model in config.models:
            server = servers[model.name]
            known = await listed(session, server)
            _check_model(server, known)
            api = model.api or config.target.api or await _detect_api(session, server, known)
            models.append(model.model_copy(update={"api": api}))
    return config.model_copy(update={"models": tuple(models)})


def _check_model(server: Server, models: Listed) -> None:
    names = {*_texts(models.openai, "id"), *_texts(models.ollama, "name")}
    if names and not {server.model, f"{server.model}:latest"} & names:
        known = ", ".join(sorted(names))
        raise TargetError(f"{server.url}: model not found: {server.model} (available: {known})")


async def listed(session: aiohttp.ClientSession, server: Server) -> Listed:
    """Return which models a server lists; TargetError when it is unreachable."""
    lists, failed = list[Sequence[Json]](), list[str]()
    for path, key, name in (("/v1/models", "data", "id"), ("/api/tags", "models", "name")):
        status, body = await _response(session, server, path)
        lists.append([item for item in _items(body, key) if isinstance(item.get(name), str)])
        if status not in (200, 404):
            failed.append(f"{server.url}{path}: HTTP {status}")
    openai, ollama = lists
    return Listed(openai, ollama, failed)


async def show(session: aiohttp.ClientSession, server: Server, name: str) -> Json:
    """Return what Ollama's API says of a model; empty where it says nothing."""
    return await _request(session, server, "/api/show", {"model": name})


async def _detect_api(session: aiohttp.ClientSession, server: Server, models: Listed) -> Api:
    """Return the API by which a server is measured.

    Only Ollama itself is measured by its own API, whose durations give a latency breakdown. Others
    that have it (sizeup) also have fixed lengths in OpenAI's, and another `owned_by` than Ollama.
    """
    if "version" not in await _request(session, server, "/api/version"):
        return "openai"
    return "openai" if _NOT_OLLAMA & _texts(models.openai, "owned_by") else "ollama"


async def has_ollama_api(session: aiohttp.ClientSession, server: Server) -> bool:
    """Whether a server has Ollama's API; False when it has become unreachable."""
    try:
        return "models" in await _request(session, server, "/api/tags")
    except TargetError:
        return False


async def model_info(session: aiohttp.ClientSession, server: Server) -> ModelInfo:
    """Query Ollama's API about a model; what the server does not report is None.

    Nothing is known of one that has become unreachable: its requests fail too, and count.
    """
    name = server.model
    try:
        tags = _items(await _request(session, server, "/api/tags"), "models")
        processes = _items(await _request(session, server, "/api/ps"), "models")
        shown = await show(session, server, name)
    except TargetError:
        return ModelInfo()
    return to_model_info(shown, _by_name(tags, name), _by_name(processes, name))


def to_model_info(shown: Json, tag: Json, process: Json) -> ModelInfo:
    """Combine the entries of /api/show, /api/tags and /api/ps for one model."""
    info, details = as_mapping(shown.get("model_info")), as_mapping(shown.get("details"))
    architecture = info.get("general.architecture")
    dtype, digest = details.get("quantization_level"), tag.get("digest")
    load_ns = as_count(process.get("load_duration"))
    return ModelInfo(
        architecture=architecture if isinstance(architecture, str) else None,
        parameters=as_count(info.get("general.parameter_count"))
        or sizes.in_name(str(details.get("parameter_size", ""))),
        layers=as_count(info.get(f"{architecture}.block_count")),
        weight_bytes=as_count(tag.get("size")) or None,
        memory_bytes=as_count(process.get("size")) or None,
        device_bytes=as_count(process.get("size_vram")),
        load_seconds=load_ns * _NS if load_ns else None,
        dtype=dtype if isinstance(dtype, str) and dtype != "unknown" else None,
        context_length=as_count(info.get(f"{architecture}.context_length")),
        digest=digest if isinstance(digest, str) else None,
    )


async def _request(
    session: aiohttp.ClientSession, server: Server, path: str, body: Json | None = None
) -> Json:
    """Return a JSON object; empty for any other response."""
    return (await _response(session, server, path, body))[1]


async def _response(
    session: aiohttp.ClientSession, server: Server, path: str, body: Json | None = None
) -> tuple[int, Json]:
    """Return status and JSON object of a response, which is empty where there is none.

    TargetError when there is no response.
    """
    method, url = "GET" if body is None else "POST", server.url + path
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with session.request(
            method,
            url,
            json=body,
            timeout=timeout,
            headers=server.request_headers,
            ssl=server.ssl,
            allow_redirects=False,
        ) as response:
            data = await response.read()
            return response.status, as_mapping(json.loads(data) if response.status == 200 else {})
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise TargetError(f"{url}: {connection_error(error)}") from None
    except ValueError:  # as an error of a certificate is too
        return 200, {}


def _items(value: Json, key: str) -> Sequence[Json]:
    items = value.get(key)
    return [as_mapping(item) for item in items] if isinstance(items, list) else []


def _texts(items: Iterable[Json], key: str) -> set[str]:
    return {text for item in items if isinstance(text := item.get(key), str)}


def _by_name(items: Iterable[Json], name: str) -> Json:
    names = {name, f"{name}:latest"}
    return next((item for item in items if item.get("name") in names), {})
