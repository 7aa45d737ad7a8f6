"""A failed startup or shutdown of an application is an error, not a clean exit."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette

from sizeup_telemetry.drain import Drain
from sizeup_telemetry.serving import LifespanError, Listen, serve


@pytest.mark.parametrize("listens_while_draining", [False, True])
@pytest.mark.parametrize("metrics_port", [None, 0])
def test_a_failed_startup_is_an_error(
    metrics_port: int | None, listens_while_draining: bool
) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        raise ValueError("no weights")
        yield

    listen = Listen(
        "127.0.0.1", 0, metrics_port, 1.0, listens_while_draining=listens_while_draining
    )
    with pytest.raises(LifespanError, match="did not start"):
        asyncio.run(serve(Starlette(lifespan=lifespan), Starlette(), listen, Drain()))


@pytest.mark.parametrize("fails", [True, False])
def test_a_failed_shutdown_is_an_error(fails: bool) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        yield
        if fails:
            raise ValueError("device lost")

    drain = Drain()
    serving = serve(
        Starlette(lifespan=lifespan), Starlette(), Listen("127.0.0.1", 0, 0, 1.0), drain
    )
    outcome = pytest.raises(LifespanError, match="did not shut down")
    with outcome if fails else contextlib.nullcontext():
        asyncio.run(serving)
    assert drain.draining
