"""Run one model's inference process: `python -m sizeup_inference`."""

import asyncio
import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from sizeup_inference.app import Composition, create_app
from sizeup_inference.settings import Settings
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.metrics import metrics_app
from sizeup_telemetry.serving import LifespanError, Listen, serve

log = logging.getLogger(__name__)


def main() -> int:
    """Serve until a signal; return 0 after a drain, 1 when the model cannot be served."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"settings: {error}\n")
        return 1
    configure_logging(settings.log_level)
    log.info("process.starting", extra={"settings": settings.model_dump(mode="json")})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_served)
    fatal: list[str] = []

    def on_fatal() -> None:
        fatal.append("fatal")
        signal.raise_signal(signal.SIGTERM)

    composition = Composition(settings, Drain(), CollectorRegistry(), on_fatal)
    try:
        asyncio.run(_serve(composition))
    except (OSError, LifespanError) as error:
        log.error("serving.failed", extra={"error": str(error)})  # noqa: TRY400  # says it all
        return 1
    return 1 if fatal else 0


async def _serve(composition: Composition) -> None:
    settings = composition.settings
    listen = Listen(
        settings.host,
        settings.port,
        settings.metrics_port,
        settings.drain_seconds,
        listens_while_draining=True,  # gateways take `draining` to another replica
    )
    await serve(
        create_app(composition), metrics_app(composition.registry), listen, composition.drain
    )


def _already_served(_number: int, _frame: FrameType | None) -> None:
    """Let uvicorn, which raises each signal again after its shutdown, return instead."""


def _leave(code: int) -> NoReturn:
    """End at once: everything is closed, and to take torch's modules apart takes seconds."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
