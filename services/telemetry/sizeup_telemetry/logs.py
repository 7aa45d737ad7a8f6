"""JSON lines on standard error, one formatter for every logger of the process.

An event name with fields, never formatted prose and never prompt text:
`log.info("request.finished", extra={"model": ..., "completion_tokens": ...})`.
"""

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from sizeup_telemetry import request_id
from sizeup_telemetry.log_rate import Kind, LogRate

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


_PER_SECOND = 200
"""Records of one event: those of requests, which a flood multiplies. Metrics count all of them."""

_FAULTS_PER_SECOND = 10
"""Records of one event from warnings on: one describes the fault, and a traceback is 4 KB."""

_EVENT_CHARACTERS = 100
"""Of the first line: asyncio appends the objects concerned."""


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object: time, level, logger, event, request id, extra fields."""

    def __init__(self, context: Callable[[], Mapping[str, object]] = dict) -> None:
        """`context` returns further fields of the current request."""
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without a newline."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if request_id.current.get():
            fields["request_id"] = request_id.current.get()
        fields |= self._context()
        fields |= {k: v for k, v in vars(record).items() if k not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes a bounded number of records of each event per second, and how many it left out."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._rate = LogRate()

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        self._summarize(self._rate.ended(now))
        if self._rate.allows(*_kind(record), now):
            super().emit(record)

    def close(self) -> None:
        self._summarize(self._rate.ended(math.inf))
        super().close()

    def _summarize(self, suppressed: Iterable[tuple[Kind, int]]) -> None:
        for kind, count in suppressed:
            record = logging.LogRecord(
                kind.logger, logging.WARNING, "", 0, "log.suppressed", None, None
            )
            record.suppressed_event, record.count = kind.event, count
            super().emit(record)


def _kind(record: logging.LogRecord) -> tuple[Kind, int]:
    """Return what a record counts as, and the limit of that."""
    event = str(record.msg).partition("\n")[0][:_EVENT_CHARACTERS]
    is_fault = record.levelno >= logging.WARNING
    return Kind(record.name, record.levelno, event), _FAULTS_PER_SECOND if is_fault else _PER_SECOND


def configure_logging(level: str, context: Callable[[], Mapping[str, object]] = dict) -> None:
    """Send every logger of the process through one handler, and remove uvicorn's handlers."""
    handler = BoundedHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(context))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn.access").disabled = True  # request.finished has more fields
