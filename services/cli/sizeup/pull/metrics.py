"""The metrics of a pull; all have the label `model`, the Hugging Face id."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sizeup.errors import PortInUseError
from sizeup.ports import every_address
from sizeup_store.pull_report import PullProgress

_PREFIX = "sizeup_pull_"


class PullMetrics(Collector):
    """Convert the counters of a pull at every scrape."""

    def __init__(self, model_id: str, progress: PullProgress) -> None:
        self._model_id = model_id
        self._progress = progress

    def collect(self) -> Iterable[Metric]:
        now = self._progress
        yield self._counter("received_bytes", "Bytes received from the hub", now.received)
        yield self._counter("retries", "Failed requests that were retried", now.retries)
        yield self._gauge("size_bytes", "Size of the model; 0 until known", now.size)
        yield self._gauge("downloaded_bytes", "Bytes on disk, verified or partial", now.downloaded)
        yield self._gauge("files", "Files of the model; 0 until known", now.files)
        yield self._gauge("downloaded_files", "Complete, verified files", now.files_verified)

    def _counter(self, name: str, text: str, value: int) -> Metric:
        counter = CounterMetricFamily(_PREFIX + name, text, labels=["model"])
        counter.add_metric([self._model_id], value)
        return counter

    def _gauge(self, name: str, text: str, value: int) -> Metric:
        gauge = GaugeMetricFamily(_PREFIX + name, text, labels=["model"])
        gauge.add_metric([self._model_id], value)
        return gauge


@contextmanager
def serve_metrics(metrics: PullMetrics, port: int | None) -> Iterator[None]:
    """Serve metrics on all interfaces during the block; None: do not serve.

    Raises PortInUseError.
    """
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, every_address(), registry=registry)
    except OSError as error:
        raise PortInUseError(f"--metrics-port {port}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
