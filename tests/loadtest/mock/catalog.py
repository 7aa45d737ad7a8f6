"""Health, version and model lists."""

import hashlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from loadtest.mock.behaviour import Kind, MockModel
from loadtest.mock.slots import ModelSlots

_LONG_AGO = "2025-01-01T00:00:00Z"
_OWNERS: Mapping[Kind, str] = {
    "sizeup": "sizeup",
    "ollama": "library",
    "vllm": "vllm",
    "openai": "system",
}
BY_OLLAMA = frozenset({"sizeup", "ollama"})
"""Kinds that have Ollama's API."""
_BYTES_PER_PARAMETER = 2  # bf16


def routes(served: Mapping[str, ModelSlots], kind: Kind) -> list[web.RouteDef]:
    """Return the routes that this kind of server has."""
    owner = _OWNERS[kind]

    async def health(request: web.Request) -> web.Response:
        del request
        return web.json_response({"status": "ok"})

    async def version(request: web.Request) -> web.Response:
        del request
        return web.json_response({"version": "0.12.0"})

    async def models(request: web.Request) -> web.Response:
        del request
        data = [{"id": n, "root": n, "object": "model", "owned_by": owner} for n in served]
        return web.json_response({"object": "list", "data": data})

    async def tags(request: web.Request) -> web.Response:
        del request
        return web.json_response({"models": [_tag(slots.size) for slots in served.values()]})

    async def running(request: web.Request) -> web.Response:
        del request
        loaded = [slots.size for slots in served.values() if slots.loaded]
        found = [_tag(size) | {"size_vram": _bytes(size)} for size in loaded]
        return web.json_response({"models": found})

    async def show(request: web.Request) -> web.Response:
        body = await request.json()
        slots = served.get(body.get("model") or body.get("name"))
        if slots is None:
            return web.json_response({"error": "model not found"}, status=404)
        return web.json_response(_show(slots.size))

    common = [web.get("/health", health), web.get("/v1/models", models)]
    if kind not in BY_OLLAMA:
        return common
    return [
        *common,
        web.get("/api/version", version),
        web.get("/api/tags", tags),
        web.get("/api/ps", running),
        web.post("/api/show", show),
    ]


def _bytes(size: MockModel) -> int:
    return size.parameters * _BYTES_PER_PARAMETER


def _details(size: MockModel) -> dict[str, Any]:
    return {
        "family": "mock",
        "format": "safetensors",
        "parameter_size": f"{size.parameters / 1e9:.2f}B",
        "quantization_level": "BF16",
    }


def _tag(size: MockModel) -> dict[str, Any]:
    return {
        "name": size.name,
        "model": size.name,
        "size": _bytes(size),
        "digest": hashlib.sha256(size.name.encode()).hexdigest(),
        "modified_at": _LONG_AGO,
        "details": _details(size),
    }


def _show(size: MockModel) -> dict[str, Any]:
    info = {
        "general.architecture": "mock",
        "general.parameter_count": size.parameters,
        "mock.block_count": size.layers,
        "mock.context_length": 1 << 20,
    }
    thinking = ["thinking"] if size.thinking else []
    return {
        "details": _details(size),
        "model_info": info,
        "capabilities": ["completion", *thinking],
        "modified_at": _LONG_AGO,
    }
