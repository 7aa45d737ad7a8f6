"""The init container: wait until the model, and its draft model, can be loaded.

Run as `python -m sizeup_inference.wait_for_download`.

Serves /livez and /readyz on the port of the inference process, so that gateways see a download in
progress and not a refused connection. Exits with 0 once the model is complete. A failed download,
which may be restarted, an unreadable volume, and missing files that nothing downloads are reported
while the wait continues.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from fastapi import FastAPI
from pydantic import ValidationError
from starlette.middleware import Middleware

from sizeup_inference.server.error_responses import host_refused
from sizeup_inference.server.health import Readiness, health_router
from sizeup_inference.settings import Settings
from sizeup_store.progress import DownloadState, Pulse, is_complete, progress_path, read_progress
from sizeup_store.stored import check_stored
from sizeup_store.weights import WeightsError, is_hub_id
from sizeup_telemetry.api_docs import create_app
from sizeup_telemetry.background import in_thread
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.hosts import HostMiddleware
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.serving import LifespanError, Listen, serve

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
"""Short beside a download; a poll costs a network file system two lookups."""

_CHECK_SECONDS = 5.0
"""A check of a folder that nothing downloads reads the header of every weight file."""

_TERMINATED = 128 + signal.SIGTERM
"""Exit code when terminated, as of a shell; 0 would start the inference container."""


class Wait:
    """The wait for one model; belongs to one event loop."""

    def __init__(self, settings: Settings, on_end: Callable[[int], None]) -> None:
        """`on_end` is called once, with the exit code of the process."""
        self._settings = settings
        self._on_end = on_end
        self._state = DownloadState()
        self._pulse = Pulse()

    async def run(self) -> None:
        """Poll until the models are complete, or an unexpected error."""
        settings = self._settings
        try:
            await self._until_complete(settings.model, settings.revision)
            if settings.draft_model is not None:
                await self._until_complete(settings.draft_model, settings.draft_revision)
        except Exception:
            log.exception("wait.failed")
            self._on_end(1)
        else:
            self._on_end(0)

    async def _until_complete(self, model: str, revision: str | None) -> None:
        seconds = _POLL_SECONDS if self._is_downloaded(model) else _CHECK_SECONDS
        # In a thread, because a network file system may hang; files have no event to await.
        while not await in_thread(partial(self._poll, model, revision)):  # noqa: ASYNC110
            await asyncio.sleep(seconds)
        log.info("model.complete", extra={"model": model})

    def _poll(self, model: str, revision: str | None) -> bool:
        """Look at a model, and return whether it is complete."""
        cache = self._settings.hub_cache
        try:
            if not self._is_downloaded(model):
                check_stored(model, revision, cache)
                return True
            if is_complete(model, revision, cache):
                return True
            state = read_progress(progress_path(model, revision, cache))
            self._update(model, self._pulse.judge(state, time.monotonic()))
        except WeightsError as error:
            self._update(model, DownloadState("failed", message=str(error)))
        except OSError as error:
            path, reason = error.filename or cache, error.strerror or error
            message = f"cannot read {path}: {reason}"
            self._update(model, DownloadState("failed", self._state.progress, message))
        return False

    def _is_downloaded(self, model: str) -> bool:
        return self._settings.await_download and is_hub_id(model)

    def _update(self, model: str, state: DownloadState) -> None:
        if (state.state, state.message) != (self._state.state, self._state.message):
            level = logging.WARNING if state.state == "failed" else logging.INFO
            fields = _readiness(state).model_dump()  # LogRecord reserves `message`
            log.log(level, "model.waiting", extra=fields | {"model": model})
        self._state = state

    def app(self) -> FastAPI:
        """Create the application; its lifespan is the wait."""

        @contextlib.asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
            task = asyncio.create_task(self.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait((task,))

        router = health_router(lambda: _readiness(self._state))
        hosts = Middleware(HostMiddleware, bound_to=self._settings.host, respond=host_refused)
        return create_app(router, lifespan=lifespan, middleware=[hosts])


def _readiness(state: DownloadState) -> Readiness:
    return Readiness(state=state.state, stage=state.message, progress=state.progress)


def main() -> int:
    """Wait; return 0 once the model is complete, 143 when terminated before, 1 on an error."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"settings: {error}\n")
        return 1
    configure_logging(settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # before and after serving, which has its own
    codes: list[int] = []

    def on_end(code: int) -> None:
        codes.append(code)
        signal.raise_signal(signal.SIGTERM)

    app = Wait(settings, on_end).app()
    listen = Listen(settings.host, settings.port, metrics_port=None, drain_seconds=0)
    try:
        asyncio.run(serve(app, app, listen, Drain()))
    except (OSError, LifespanError) as error:
        log.error("serving.failed", extra={"error": str(error)})  # noqa: TRY400  # expected error
        return 1
    return codes[0] if codes else _TERMINATED


if __name__ == "__main__":
    sys.exit(main())
