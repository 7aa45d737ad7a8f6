import io
import json
import logging

from sizeup_telemetry.log_rate import Kind, LogRate
from sizeup_telemetry.logs import BoundedHandler, JsonFormatter

KIND = Kind("logger", logging.INFO, "event")


def test_records_beyond_the_limit_are_counted_and_reported_once() -> None:
    rate = LogRate()
    assert [rate.allows(KIND, 2, now=0.0) for _ in range(5)] == [True, True, False, False, False]
    assert not list(rate.ended(0.9))
    assert list(rate.ended(1.0)) == [(KIND, 3)]
    assert not list(rate.ended(2.0))
    assert rate.allows(KIND, 2, now=1.0)


def test_kinds_do_not_share_a_limit() -> None:
    rate = LogRate()
    kinds = [KIND, Kind("logger", logging.ERROR, "event"), Kind("other", logging.INFO, "event")]
    assert all(rate.allows(kind, 1, now=0.0) for kind in kinds)


def test_events_with_variable_text_share_one_limit() -> None:
    rate = LogRate()
    allowed = [rate.allows(Kind("l", 0, str(n)), 1, now=0.0) for n in range(10_000)]
    assert sum(allowed) < 300
    assert sum(count for _, count in rate.ended(2.0)) == 10_000 - sum(allowed)


def test_the_handler_reports_what_it_left_out() -> None:
    stream = io.StringIO()
    handler = BoundedHandler(stream)
    handler.setFormatter(JsonFormatter())
    text = "socket.accept() out of system resource\nsocket: <%d>"
    for number in range(50):
        args = (text, (number,), None)
        handler.emit(logging.LogRecord("asyncio", logging.ERROR, "f", 1, *args))
    handler.close()
    *written, summary = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(written) == 10
    assert {"logger": "asyncio", "event": "log.suppressed", "count": 40}.items() <= summary.items()
