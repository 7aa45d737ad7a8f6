"""Run one model's inference process: `python -m sizeup_inference`."""

import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

from prometheus_client import CollectorRegistry

from sizeup_inference.app import Composition, create_app
from sizeup_inference.server.error_responses import refuse
from sizeup_inference.settings import Settings
from sizeup_telemetry.background import share_interpreter
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.metrics import metrics_app
from sizeup_telemetry.serving import LifespanError, Listen, serve
from sizeup_telemetry.tracing.spans import closing, open_tracing, trace_ids

log = logging.getLogger(__name__)


def main() -> int:
    """Serve until a signal; return 0 after draining, 1 when the model cannot be served."""
    try:
        settings, tracing = Settings(), open_tracing("sizeup-inference")
    except ValueError as error:
        sys.stderr.write(f"settings: {error}\n")
        return 1
    # OpenMP reads it once, when torch is imported.
    os.environ["OMP_WAIT_POLICY"] = settings.omp_wait_policy  # noqa: TID251
    configure_logging(settings.log_level, trace_ids if tracing else dict)
    share_interpreter()
    log.info("process.starting", extra={"settings": settings.model_dump(mode="json")})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # before and after serving, which has its own
    fatal: list[str] = []

    def on_fatal() -> None:
        fatal.append("fatal")
        signal.raise_signal(signal.SIGTERM)

    composition = Composition(settings, Drain(), CollectorRegistry(), on_fatal, tracing=tracing)
    try:
        asyncio.run(_serve(composition))
    except (OSError, LifespanError) as error:
        log.error("serving.failed", extra={"error": str(error)})  # noqa: TRY400  # expected error
        return 1
    return 1 if fatal else 0


async def _serve(composition: Composition) -> None:
    settings = composition.settings
    listen = Listen(
        settings.host,
        settings.port,
        settings.metrics_port,
        settings.drain_seconds,
        listens_while_draining=True,  # gateways retry `draining` on another replica
    )
    metrics = metrics_app(composition.registry, settings.host)
    async with closing(composition.tracing):
        await serve(create_app(composition), metrics, listen, composition.drain, refuse)


def _exit(code: int) -> NoReturn:
    """Exit without interpreter shutdown, which takes seconds once torch is loaded."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit(main())
