"""Loads and unloads the models of `up` for its gateway: HTTP over a Unix socket."""

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from aiohttp import web

from sizeup.deployment.supervisor import Supervisor
from sizeup_wire.scale import SCALE, ProcessScale

_MAX_PATH_BYTES = 100
"""Of a Unix socket: 104 on macOS, 108 on Linux, with the final zero."""


@contextlib.contextmanager
def socket_path(private: Path) -> Iterator[Path]:
    """Yield a path for the socket, in this folder or, if that is too long, in one like it."""
    path = private / "scale.sock"
    if len(os.fsencode(path)) < _MAX_PATH_BYTES:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="sizeup-", dir="/tmp") as short:  # its own
        yield Path(short) / path.name


@contextlib.asynccontextmanager
async def scale_server(
    path: Path, supervisors: Mapping[str, Supervisor], drain_seconds: float
) -> AsyncIterator[None]:
    """Serve the scales of these processes, by name; one that is unloaded drains for this long."""

    async def read(request: web.Request) -> web.Response:
        supervisor = _find(supervisors, request)
        scale = ProcessScale(replicas=int(supervisor.wanted), version=str(supervisor.changes))
        return web.Response(body=scale.model_dump_json(), content_type="application/json")

    async def write(request: web.Request) -> web.Response:
        supervisor = _find(supervisors, request)
        try:
            scale = ProcessScale.model_validate_json(await request.read())
        except ValueError as error:
            raise web.HTTPBadRequest from error
        if scale.version != str(supervisor.changes):
            raise web.HTTPConflict
        supervisor.scale(scale.replicas, drain_seconds)
        return web.Response()

    app = web.Application()
    app.add_routes([web.get(SCALE, read), web.put(SCALE, write)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(path)).start()
        yield
    finally:
        await runner.cleanup()


def _find(supervisors: Mapping[str, Supervisor], request: web.Request) -> Supervisor:
    supervisor = supervisors.get(request.match_info["name"])
    if supervisor is None:
        raise web.HTTPNotFound
    return supervisor
