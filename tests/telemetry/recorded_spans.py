"""Tracing whose spans stay in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from sizeup_telemetry.tracing.spans import Tracing


@dataclass
class RecordedSpans:
    """Spans that have ended, as `tracing` makes them."""

    excluded_urls: Sequence[str] = ()
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    tracing: Tracing = field(init=False)

    def __post_init__(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider, self.excluded_urls)

    def of_kind(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.kind is kind]

    @property
    def server(self) -> list[ReadableSpan]:
        return self.of_kind(SpanKind.SERVER)

    @property
    def client(self) -> list[ReadableSpan]:
        return self.of_kind(SpanKind.CLIENT)


def attributes_of(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})
