"""The scale of the processes of `sizeup up`, over its Unix socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from sizeup_gateway.cluster.api import ClusterError, ConflictError, Scale, UnreachableError
from sizeup_wire.scale import SCALE, ProcessScale

_CALL_SECONDS = 5.0
"""The supervisor only notes the scale; requests are queued meanwhile."""


@asynccontextmanager
async def open_local_scale(socket: Path) -> AsyncIterator["LocalScale"]:
    connector = aiohttp.UnixConnector(str(socket))
    timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
    async with aiohttp.ClientSession(
        "http://localhost", connector=connector, timeout=timeout
    ) as session:
        yield LocalScale(session)


class LocalScale:
    """A ScaleApi; a deployment is a process."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def read_scale(self, deployment: str) -> Scale:
        body = await self._call("GET", deployment)
        try:
            found = ProcessScale.model_validate_json(body)
        except ValueError as error:
            raise ClusterError(f"malformed scale: {error}") from error
        return Scale(found.replicas, found.version)

    async def write_scale(self, deployment: str, scale: Scale) -> None:
        body = ProcessScale(replicas=scale.replicas, version=scale.version)
        await self._call("PUT", deployment, data=body.to_json())

    async def _call(self, method: str, name: str, **options: Any) -> bytes:
        path = SCALE.format(name=name)
        try:
            async with self._session.request(method, path, **options) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"cannot connect to sizeup up: {error!r}") from error
        if response.status == 200:
            return body
        message = f"{method} {path}: status {response.status}"
        raise ConflictError(message) if response.status == 409 else ClusterError(message)
