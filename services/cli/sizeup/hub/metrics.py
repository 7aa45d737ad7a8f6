"""Every metric of a pull; `model`, the hub's id, labels them all."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sizeup.errors import PortInUseError
from sizeup.hub.progress import PullProgress

_PREFIX = "sizeup_pull_"


class PullMetrics(Collector):
    """The numbers of a pull in Prometheus's words, read at every scrape."""

    def __init__(self, model_id: str, progress: PullProgress) -> None:
        """Show a progress that goes on."""
        self._model_id = model_id
        self._progress = progress

    def collect(self) -> Iterable[Metric]:
        """Yield the numbers as they are now."""
        now = self._progress
        yield self._counter("bytes", "Bytes that came from the hub", now.received)
        yield self._counter("failures", "Failures after which it was tried again", now.retries)
        yield self._gauge("size_bytes", "Bytes of the whole model; 0: not known yet", now.size)
        yield self._gauge("here_bytes", "Bytes that are here, verified or on their way", now.here)
        yield self._gauge("files", "Files of the whole model; 0: not known yet", now.files)
        yield self._gauge("here_files", "Files that are here, whole and verified", now.files_kept)

    def _counter(self, name: str, text: str, value: int) -> Metric:
        counter = CounterMetricFamily(_PREFIX + name, text, labels=["model"])
        counter.add_metric([self._model_id], value)
        return counter

    def _gauge(self, name: str, text: str, value: int) -> Metric:
        gauge = GaugeMetricFamily(_PREFIX + name, text, labels=["model"])
        gauge.add_metric([self._model_id], value)
        return gauge


@contextmanager
def served(metrics: PullMetrics, port: int | None) -> Iterator[None]:
    """Serve metrics on a port of every interface until the block ends; None: nowhere.

    Raises PortInUseError.
    """
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, registry=registry)
    except OSError as error:
        raise PortInUseError(f"--metrics-port {port}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
