import json
import logging
import sys
from collections.abc import Iterator

import pytest

from sizeup_telemetry import request_id
from sizeup_telemetry.logs import JsonFormatter, configure_logging


def format_record(message: str, *args: object, **extra: object) -> dict[str, object]:
    logger = logging.Logger("sizeup.test")
    record = logger.makeRecord(
        logger.name, logging.INFO, "file.py", 1, message, args, None, extra=extra
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    fields: dict[str, object] = json.loads(line)
    return fields


def test_a_record_is_one_json_object_with_extra_fields() -> None:
    fields = format_record("request.finished", model="qwen", completion_tokens=3)
    assert fields.pop("time")
    assert fields == {
        "level": "info",
        "logger": "sizeup.test",
        "event": "request.finished",
        "model": "qwen",
        "completion_tokens": 3,
    }


def test_the_request_id_of_the_task_is_on_every_line() -> None:
    token = request_id.current.set("abc")
    try:
        assert format_record("x")["request_id"] == "abc"
    finally:
        request_id.current.reset(token)
    assert "request_id" not in format_record("x")


def test_newlines_and_unicode_stay_inside_the_line() -> None:
    assert format_record("a\nb %s", "世界")["event"] == "a\nb 世界"


def test_values_that_are_not_json_are_written_as_text() -> None:
    assert format_record("x", where=ValueError("y"))["where"] == "y"


def test_a_traceback_is_a_field() -> None:
    def fail() -> None:
        raise ValueError("broken")

    try:
        fail()
    except ValueError:
        exception = sys.exc_info()
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "x", (), exception)
    assert "ValueError: broken" in json.loads(JsonFormatter().format(record))["exception"]


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    logging.getLogger("uvicorn.access").disabled = False
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("restored_logging")
def test_every_logger_writes_to_stderr_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    configure_logging("warning")
    logging.getLogger("anything").warning("logged")
    logging.getLogger("anything").info("unsaid")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "logged"
