"""The init container: wait until the model is in the cache.

Run as `python -m sizeup_inference.wait_for_download`.

Answers /livez and /readyz on the same port meanwhile, so that whoever asks sees a download and
not a silence. Ends with 0 when the model is complete; a failed download is shown and waited for,
since whoever started it may start it again, and so is a volume that cannot be read.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from types import FrameType

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sizeup_inference.server.health import livez, readiness_response
from sizeup_inference.settings import Settings
from sizeup_store.progress import (
    DownloadState,
    Pulse,
    is_complete,
    progress_path,
    read_progress,
)
from sizeup_telemetry.background import in_thread
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.serving import LifespanError, Listen, serve
from sizeup_wire import routes

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
"""Little against a download, and one look costs a network file system two lookups."""

_TERMINATED = 128 + signal.SIGTERM
"""Not 0, which would say that the model is there."""


class Wait:
    """The wait for one model; belongs to one event loop."""

    def __init__(self, settings: Settings, on_end: Callable[[int], None]) -> None:
        """Look at nothing yet; `on_end` is called once, with the exit code of the process."""
        self._settings = settings
        self._on_end = on_end
        self._state = DownloadState()
        self._pulse = Pulse()

    async def run(self) -> None:
        """Look until the model is complete; end too when looking fails in a way nobody foresaw."""
        try:
            # In a thread, since a network file system may hang; a file has no event to wait for.
            while not await in_thread(self._look):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
        except Exception:
            log.exception("wait.failed")
            self._on_end(1)
        else:
            self._on_end(0)

    def _look(self) -> bool:
        said = self._settings
        try:
            if is_complete(said.model, said.revision, said.hub_cache):
                log.info("model.complete", extra={"model": said.model})
                return True
            state = read_progress(progress_path(said.model, said.revision, said.hub_cache))
            self._say(self._pulse.judge(state, time.monotonic()))
        except OSError as error:
            where, why = error.filename or said.hub_cache, error.strerror or error
            problem = f"{where} cannot be read: {why}"
            self._say(DownloadState("failed", self._state.progress, problem))
        return False

    def _say(self, state: DownloadState) -> None:
        if (state.state, state.message) != (self._state.state, self._state.message):
            level = logging.WARNING if state.state == "failed" else logging.INFO
            log.log(level, "model.waiting", extra=_shown(state) | {"model": self._settings.model})
        self._state = state

    def app(self) -> Starlette:
        """Make the application; its lifespan is the wait."""

        async def readyz(_request: Request) -> Response:
            return readiness_response(_shown(self._state))

        @contextlib.asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            task = asyncio.create_task(self.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait((task,))

        return Starlette(
            routes=[Route(routes.LIVEZ, livez), Route(routes.READYZ, readyz)], lifespan=lifespan
        )


def _shown(state: DownloadState) -> dict[str, object]:
    """Return what /readyz says; log records have a message of their own."""
    return {"state": state.state, "stage": state.message, "progress": state.progress}


def main() -> int:
    """Wait; return 0 when the model is complete, 143 when ended before, 1 when that cannot work."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"settings: {error}\n")
        return 1
    configure_logging(settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_served)
    codes: list[int] = []

    def on_end(code: int) -> None:
        codes.append(code)
        signal.raise_signal(signal.SIGTERM)

    app = Wait(settings, on_end).app()
    listen = Listen(settings.host, settings.port, metrics_port=None, drain_seconds=0)
    try:
        asyncio.run(serve(app, app, listen, Drain()))
    except (OSError, LifespanError) as error:
        log.error("serving.failed", extra={"error": str(error)})  # noqa: TRY400  # says it all
        return 1
    return codes[0] if codes else _TERMINATED


def _already_served(_number: int, _frame: FrameType | None) -> None:
    """Take the signals from before and after serving; serving has its own handler."""


if __name__ == "__main__":
    sys.exit(main())
