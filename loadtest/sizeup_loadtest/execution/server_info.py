"""Model metadata from the server, outside the measured requests."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiohttp

from sizeup_loadtest.client.response import as_count, as_mapping
from sizeup_loadtest.data.results import ModelInfo
from sizeup_loadtest.errors import TargetError

TIMEOUT_SECONDS = 10.0

_NS = 1e-9

Json = Mapping[str, Any]


async def check_models(session: aiohttp.ClientSession, url: str, models: Sequence[str]) -> None:
    """Raise TargetError when the server is unreachable or does not list a model.

    A server that lists no models in either API is not checked.
    """
    listed = await list_models(session, url)
    if not listed:
        return
    missing = [name for name in models if not {name, f"{name}:latest"} & listed]
    if missing:
        known = ", ".join(sorted(listed)) or "none"
        raise TargetError(f"{url}: model not found: {', '.join(missing)} (available: {known})")


async def list_models(session: aiohttp.ClientSession, url: str) -> set[str]:
    """Return the names in /v1/models and /api/tags; TargetError when the server is unreachable."""
    openai = await _request(session, f"{url}/v1/models")
    ollama = await _request(session, f"{url}/api/tags")
    return {*_texts(_items(openai, "data"), "id"), *_texts(_items(ollama, "models"), "name")}


async def has_ollama_api(session: aiohttp.ClientSession, url: str) -> bool:
    return "models" in await _request(session, f"{url}/api/tags")


async def model_info(
    session: aiohttp.ClientSession, url: str, models: Sequence[str]
) -> Mapping[str, ModelInfo]:
    """Query Ollama's API about models; what the server does not report is None."""
    tags = _items(await _request(session, f"{url}/api/tags"), "models")
    processes = _items(await _request(session, f"{url}/api/ps"), "models")
    result = {}
    for name in models:
        shown = await _request(session, f"{url}/api/show", {"model": name})
        result[name] = to_model_info(shown, _by_name(tags, name), _by_name(processes, name))
    return result


def to_model_info(shown: Json, tag: Json, process: Json) -> ModelInfo:
    """Combine the entries of /api/show, /api/tags and /api/ps for one model."""
    info, details = as_mapping(shown.get("model_info")), as_mapping(shown.get("details"))
    architecture = info.get("general.architecture")
    dtype, digest = details.get("quantization_level"), tag.get("digest")
    load_ns = as_count(process.get("load_duration"))
    return ModelInfo(
        architecture=architecture if isinstance(architecture, str) else None,
        parameters=as_count(info.get("general.parameter_count")),
        layers=as_count(info.get(f"{architecture}.block_count")),
        weight_bytes=as_count(tag.get("size")) or None,
        memory_bytes=as_count(process.get("size")) or None,
        device_bytes=as_count(process.get("size_vram")),
        load_seconds=load_ns * _NS if load_ns else None,
        dtype=dtype if isinstance(dtype, str) and dtype != "unknown" else None,
        context_length=as_count(info.get(f"{architecture}.context_length")),
        digest=digest if isinstance(digest, str) else None,
    )


async def _request(session: aiohttp.ClientSession, url: str, body: Json | None = None) -> Json:
    """Return a JSON object; empty for any other response."""
    method = "GET" if body is None else "POST"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with session.request(method, url, json=body, timeout=timeout) as response:
            data = await response.read()
            return as_mapping(json.loads(data)) if response.status == 200 else {}
    except ValueError:
        return {}
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TargetError(f"{url}: {error or 'timeout'}") from None


def _items(value: Json, key: str) -> Sequence[Json]:
    items = value.get(key)
    return [as_mapping(item) for item in items] if isinstance(items, list) else []


def _texts(items: Iterable[Json], key: str) -> set[str]:
    return {text for item in items if isinstance(text := item.get(key), str)}


def _by_name(items: Iterable[Json], name: str) -> Json:
    names = {name, f"{name}:latest"}
    return next((item for item in items if item.get("name") in names), {})
