"""Finds the models of servers, where the config names none."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import aiohttp

from sizeup_loadtest.analysis import served_models
from sizeup_loadtest.analysis.served_models import ServedModel
from sizeup_loadtest.config.models import ModelConfig, Target
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server, base_url
from sizeup_loadtest.errors import TargetError, UsageError
from sizeup_loadtest.execution import server_info


@dataclass(frozen=True, slots=True)
class Found:
    """The models to compare."""

    models: Sequence[Mapping[str, str]]
    """As entries of `models` in a config."""
    left_out: Mapping[str, str]
    """Name -> reason."""


def find(target: Target, urls: Sequence[str], names: Sequence[str] = ()) -> Found:
    """Return the models of all servers that are compared, or those with these names.

    TargetError when a server is unreachable, or none of them lists a model that chats.
    """
    served = asyncio.run(_served([_server(target, url) for url in urls]))
    choice = served_models.choose(served, names)
    missing = [name for name in names if name not in {model.name for model in choice.models}]
    if missing or not choice.models:
        known = ", ".join(model.name for model in served) or "none; for a key: target.api_key_env"
        wanted = f"model not found: {', '.join(missing)}" if missing else "no model that chats"
        raise TargetError(
            f"{', '.join(urls)}: {wanted}; name others with --models (listed: {known})"
        )
    return Found(_entries(choice.models), choice.left_out)


def _server(target: Target, url: str) -> Server:
    try:
        model = ModelConfig(name="-", url=base_url(url))
    except ValueError as error:
        raise UsageError(f"--url: {error}") from None
    return Config(target=target, models=(model,)).server("-")


async def _served(servers: Sequence[Server]) -> list[ServedModel]:
    async with aiohttp.ClientSession() as session:
        return [model for server in servers for model in await _models(session, server)]


async def _models(session: aiohttp.ClientSession, server: Server) -> list[ServedModel]:
    openai, ollama = await server_info.listed(session, server)
    if not ollama:
        return [replace(served_models.from_openai(one), url=server.url) for one in openai]
    models = []
    for tag in ollama:
        shown = await server_info.show(session, server, str(tag.get("name")))
        size = server_info.to_model_info(shown, tag, {}).parameters
        models.append(replace(served_models.from_ollama(tag, shown, size), url=server.url))
    return models


def _entries(models: Sequence[ServedModel]) -> list[Mapping[str, str]]:
    """Return a config's entries; where two servers have a name, the name has its server."""
    names = [model.name for model in models]
    return [
        {
            "name": model.name
            if names.count(model.name) == 1
            else f"{model.name} at {model.url.partition('://')[2]}",
            "model": model.name,
            "url": model.url,
        }
        for model in models
    ]
