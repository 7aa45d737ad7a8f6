"""Run the gateway: `python -m sizeup_gateway`."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager, nullcontext

import yaml
from prometheus_client import CollectorRegistry

from sizeup_gateway.app import backlog, create_app, refused_requests
from sizeup_gateway.cluster.api import ScaleApi
from sizeup_gateway.cluster.client import ClusterClient, open_cluster
from sizeup_gateway.models.catalog import parse_catalog
from sizeup_gateway.scaling.local_scale import open_local_scale
from sizeup_gateway.settings import Settings
from sizeup_telemetry.background import share_interpreter
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.metrics import metrics_app
from sizeup_telemetry.secret_files import log_exposure
from sizeup_telemetry.serving import Listen, serve
from sizeup_telemetry.tracing.spans import Tracing, closing, open_tracing, trace_ids
from sizeup_wire.catalog import Catalog


def main() -> None:
    """Serve until SIGTERM; exit with one line for an invalid configuration."""
    try:
        settings = Settings()
        catalog = parse_catalog(settings.catalog.read_bytes())
        tracing = open_tracing("sizeup-gateway")
        configure_logging(settings.log_level, trace_ids if tracing else dict)
        share_interpreter()
        asyncio.run(_serve(settings, catalog, tracing))
    except (OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"sizeup-gateway: {error}")


async def _serve(settings: Settings, catalog: Catalog, tracing: Tracing | None) -> None:
    registry, drain = CollectorRegistry(), Drain()
    listen = Listen(
        settings.host,
        settings.port,
        settings.metrics_port,
        settings.drain_seconds,
        settings.write_timeout_seconds,
        idle_connection_seconds=settings.idle_connection_seconds,
        max_connections=settings.max_connections,
    )
    async with _cluster(settings) as cluster, _scales(settings) as scales, closing(tracing):
        app = create_app(settings, catalog, registry, drain, cluster, scales, tracing)
        metrics = metrics_app(registry, settings.host)
        await serve(app, metrics, listen, drain, refused_requests(app), backlog(app))


def _cluster(settings: Settings) -> AbstractAsyncContextManager[ClusterClient | None]:
    if settings.discovery == "static":
        return nullcontext()
    if settings.kubeconfig_file is not None:
        log_exposure(settings.kubeconfig_file)
    return open_cluster(settings.kubeconfig_file, settings.namespace, settings.endpoint_selector)


def _scales(settings: Settings) -> AbstractAsyncContextManager[ScaleApi | None]:
    path = settings.scale_socket
    return nullcontext() if path is None else open_local_scale(path)


if __name__ == "__main__":
    main()
