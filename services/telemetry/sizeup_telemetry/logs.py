"""JSON lines on standard error, one formatter for every logger of the process.

An event name with fields, never formatted prose and never prompt text:
`log.info("request.finished", extra={"model": ..., "completion_tokens": ...})`.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from sizeup_telemetry import request_id

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object: time, level, logger, event, request id, extra fields."""

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
        fields |= {k: v for k, v in vars(record).items() if k not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def configure_logging(level: str) -> None:
    """Send every logger of the process through one handler, and remove uvicorn's handlers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn.access").disabled = True  # request.finished has more fields
