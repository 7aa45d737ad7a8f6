"""What a server says of its models, beside the measured requests."""

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


async def check_names(session: aiohttp.ClientSession, url: str, models: Sequence[str]) -> None:
    """Raise TargetError when nothing answers, or a model is not among those the server lists.

    A server that lists nothing in either API is taken at the config's word.
    """
    listed = await listed_names(session, url)
    if not listed:
        return
    missing = [name for name in models if not {name, f"{name}:latest"} & listed]
    if missing:
        known = ", ".join(sorted(listed)) or "none"
        raise TargetError(f"{url} has no model {', '.join(missing)}; it has {known}")


async def listed_names(session: aiohttp.ClientSession, url: str) -> set[str]:
    """Return the names in /v1/models and /api/tags; TargetError when nothing answers."""
    openai = await _ask(session, f"{url}/v1/models")
    ollama = await _ask(session, f"{url}/api/tags")
    return {
        *_texts(_items(openai, "data"), "id"),
        *_texts(_items(ollama, "models"), "name"),
    }


async def has_ollama(session: aiohttp.ClientSession, url: str) -> bool:
    """Tell whether a server answers on Ollama's routes."""
    return "models" in await _ask(session, f"{url}/api/tags")


async def model_info(
    session: aiohttp.ClientSession, url: str, models: Sequence[str]
) -> Mapping[str, ModelInfo]:
    """Ask Ollama's routes about models; what a server does not say stays None."""
    tags = _items(await _ask(session, f"{url}/api/tags"), "models")
    processes = _items(await _ask(session, f"{url}/api/ps"), "models")
    found = {}
    for name in models:
        shown = await _ask(session, f"{url}/api/show", {"model": name})
        found[name] = to_facts(shown, _named(tags, name), _named(processes, name))
    return found


def to_facts(shown: Json, tag: Json, process: Json) -> ModelInfo:
    """Read what /api/show, /api/tags and /api/ps say of one model."""
    info, details = as_mapping(shown.get("model_info")), as_mapping(shown.get("details"))
    architecture = info.get("general.architecture")
    dtype, digest = details.get("quantization_level"), tag.get("digest")
    took = as_count(process.get("load_duration"))
    return ModelInfo(
        architecture=architecture if isinstance(architecture, str) else None,
        parameters=as_count(info.get("general.parameter_count")),
        layers=as_count(info.get(f"{architecture}.block_count")),
        weight_bytes=as_count(tag.get("size")) or None,
        memory_bytes=as_count(process.get("size")) or None,
        device_bytes=as_count(process.get("size_vram")),
        load_seconds=took * _NS if took else None,
        dtype=dtype if isinstance(dtype, str) and dtype != "unknown" else None,
        context_length=as_count(info.get(f"{architecture}.context_length")),
        digest=digest if isinstance(digest, str) else None,
    )


async def _ask(session: aiohttp.ClientSession, url: str, body: Json | None = None) -> Json:
    """Return a JSON object; empty when the server answers anything else."""
    method = "GET" if body is None else "POST"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with session.request(method, url, json=body, timeout=timeout) as response:
            data = await response.read()
            return as_mapping(json.loads(data)) if response.status == 200 else {}
    except ValueError:
        return {}
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TargetError(f"{url}: {error or 'no answer'}") from None


def _items(value: Json, key: str) -> Sequence[Json]:
    items = value.get(key)
    return [as_mapping(item) for item in items] if isinstance(items, list) else []


def _texts(items: Iterable[Json], key: str) -> set[str]:
    return {text for item in items if isinstance(text := item.get(key), str)}


def _named(items: Iterable[Json], name: str) -> Json:
    names = {name, f"{name}:latest"}
    return next((item for item in items if item.get("name") in names), {})
