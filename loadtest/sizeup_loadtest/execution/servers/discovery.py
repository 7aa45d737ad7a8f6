"""Finds the models of servers, where the config names none."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import aiohttp

from sizeup_loadtest.analysis import served_models
from sizeup_loadtest.analysis.served_models import Choice, ServedModel
from sizeup_loadtest.config.models import ModelConfig, Target
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server, base_url
from sizeup_loadtest.errors import TargetError, UsageError
from sizeup_loadtest.execution.servers import server_info

SHOWN_AT_ONCE = 8
"""Requests for details of models: Ollama reads a file for each, and some have hundreds."""


def find(target: Target, urls: Sequence[str], names: Sequence[str] = ()) -> Choice:
    """Return the models of all servers that are compared, or those with these names.

    TargetError when a server is unreachable, or none of them lists a model that chats.
    """
    served = asyncio.run(_served(_servers(target, urls), required=not names))
    choice = served_models.choose(served, names)
    missing = [name for name in names if name not in {model.name for model in choice.models}]
    if missing or not choice.models:
        wanted = f"model not found: {', '.join(missing)}" if missing else "no model that chats"
        known = ", ".join(model.name for model in served) or "none"
        raise TargetError(
            f"{', '.join(urls)}: {wanted}; name others with --models (listed: {known})"
        )
    return choice


def _servers(target: Target, urls: Sequence[str]) -> Sequence[Server]:
    try:
        # Once each: /v1 at the end makes no difference, and --url may repeat one.
        bases = dict.fromkeys(map(base_url, urls))
        models = tuple(ModelConfig(name=url, url=url) for url in bases)
    except ValueError as error:
        raise UsageError(f"--url: {error}") from None
    return [*Config(target=target, models=models).servers.values()]


async def _served(servers: Sequence[Server], *, required: bool) -> list[ServedModel]:
    """Return the models of all servers; when required, TargetError for a server without any."""
    async with aiohttp.ClientSession() as session:
        lists = [(server, await server_info.listed(session, server)) for server in servers]
        empty = [
            _without_models(server, one) for server, one in lists if not (one.openai or one.ollama)
        ]
        if required and empty:
            raise TargetError(f"{'; '.join(empty)}; name models with --models")
        return [model for server, one in lists for model in await _models(session, server, one)]


def _without_models(server: Server, listed: server_info.Listed) -> str:
    if not listed.failed:
        return f"{server.url}: lists no models"
    key = " (a key: SIZEUP_BENCH_API_KEY for one host, or api_key_env in a config)"
    return ", ".join(listed.failed) + (key if "HTTP 40" in listed.failed[0] else "")


async def _models(
    session: aiohttp.ClientSession, server: Server, listed: server_info.Listed
) -> Sequence[ServedModel]:
    few = asyncio.Semaphore(SHOWN_AT_ONCE)

    async def shown(tag: Mapping[str, object]) -> ServedModel:
        async with few:
            details = await server_info.show(session, server, str(tag["name"]))
        size = server_info.to_model_info(details, tag, {}).parameters
        return served_models.from_ollama(tag, details, size)

    models = [served_models.from_openai(one) for one in listed.openai]
    if listed.ollama:
        models = await asyncio.gather(*map(shown, listed.ollama))
    return [replace(model, url=server.url) for model in models]


def entries(models: Sequence[ServedModel]) -> list[Mapping[str, str]]:
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
