"""The metrics of a pull; all have the label `model`, the Hugging Face id."""

from collections.abc import Iterable
from functools import partial
from socketserver import BaseServer
from threading import Thread

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sizeup_store.pull_report import PullProgress

_Family = CounterMetricFamily | GaugeMetricFamily


class PullMetrics(Collector):
    """Convert the counters of a pull at every scrape."""

    def __init__(self, model_id: str, progress: PullProgress) -> None:
        self._model_id = model_id
        self._progress = progress

    def collect(self) -> Iterable[Metric]:
        now = self._progress
        counter = partial(self._metric, CounterMetricFamily)
        gauge = partial(self._metric, GaugeMetricFamily)
        yield counter("received_bytes", "Bytes received from the hub", now.received)
        yield counter("retries", "Failed requests that were retried", now.retries)
        yield gauge("size_bytes", "Size of the model; 0 until known", now.size)
        yield gauge("downloaded_bytes", "Bytes on disk, verified or partial", now.downloaded)
        yield gauge("files", "Files of the model; 0 until known", now.files)
        yield gauge("downloaded_files", "Complete, verified files", now.files_verified)

    def _metric(self, kind: type[_Family], name: str, text: str, value: int) -> Metric:
        metric = kind(f"sizeup_pull_{name}", text, labels=["model"])
        metric.add_metric([self._model_id], value)
        return metric


def start_metrics(
    model_id: str, progress: PullProgress, port: int, address: str
) -> tuple[BaseServer, Thread]:
    """Serve in a thread; raises OSError."""
    registry = CollectorRegistry()
    registry.register(PullMetrics(model_id, progress))
    return start_http_server(port, address, registry=registry)
