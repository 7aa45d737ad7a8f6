"""Run the gateway: `python -m sizeup_gateway`."""

import asyncio
import sys

import yaml
from prometheus_client import CollectorRegistry

from sizeup_gateway.app import create_app
from sizeup_gateway.catalog import load_catalog
from sizeup_gateway.settings import Settings
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.logs import configure_logging
from sizeup_telemetry.metrics import metrics_app
from sizeup_telemetry.serving import Listen, serve


def main() -> None:
    """Serve until SIGTERM; exit with one line when the configuration cannot work."""
    try:
        settings = Settings()
        catalog = load_catalog(settings.catalog)
        configure_logging(settings.log_level)
        registry, drain = CollectorRegistry(), Drain()
        app = create_app(settings, catalog, registry, drain)
    except (OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"sizeup-gateway: {error}")
    listen = Listen(
        settings.host,
        settings.port,
        settings.metrics_port,
        settings.drain_seconds,
        settings.write_timeout_seconds,
    )
    try:
        asyncio.run(serve(app, metrics_app(registry), listen, drain))
    except OSError as error:
        sys.exit(f"sizeup-gateway: {error}")


if __name__ == "__main__":
    main()
