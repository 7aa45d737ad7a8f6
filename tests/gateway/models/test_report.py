"""The figures of the last load test."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sizeup_gateway.models.report import LoadTestReport, parse_report

RESULTS = Path(__file__).parents[2] / "loadtest"


def results(**changes: Any) -> dict[str, Any]:
    stage = {"tok_s_user": {"value": 40.0}, "ttft": {"p50": 0.08}}
    model: dict[str, Any] = {
        "name": "toy:2m",
        "stages": [
            {"level": 8, **stage},
            {"level": 1, "tok_s_user": {"value": 90.0}, "ttft": None},
        ],
        "capacity": {"max_load": 16.0},
        "ability": {"overall": {"value": 0.5, "low": 0.4, "high": 0.6}},
        "cost": {"per_million_output_tokens": {"value": 2.5}},
    }
    return {
        "schema_version": 1,
        "started_at": "2026-11-30T06:00:00Z",
        "models": [model | changes],
        "unknown": 1,
    }


def test_the_lowest_load_has_the_speed_of_one_stream() -> None:
    measured = parse_report(json.dumps(results()).encode())["toy:2m"]
    assert measured.tokens_per_second == 90.0
    assert measured.ttft_seconds is None
    assert measured.max_load == 16.0
    assert (measured.ability_low, measured.ability, measured.ability_high) == (0.4, 0.5, 0.6)
    assert measured.per_million_tokens == 2.5
    assert measured.at == "2026-11-30T06:00:00Z"


def test_what_was_not_measured_is_none() -> None:
    content = results(stages=[], capacity=None, ability=None, cost=None)
    measured = parse_report(json.dumps(content).encode())["toy:2m"]
    assert measured.model_dump(exclude={"at"}) == dict.fromkeys(measured.model_dump(exclude={"at"}))


def test_an_invalid_measurement_is_left_out() -> None:
    assert parse_report(json.dumps(results(invalid_reason="errors")).encode()) == {}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema_version": 2}', b"\xff"])
def test_other_content_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's message
        parse_report(content)


def test_the_file_is_read_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "results.json"
    report = LoadTestReport(file)

    def names() -> list[str]:
        return list(asyncio.run(report.models()))

    assert names() == []
    file.write_text(json.dumps(results()))
    assert names() == ["toy:2m"]
    with caplog.at_level(logging.ERROR):
        file.write_text("broken")
        assert names() == []
        assert names() == []
    assert [record.message for record in caplog.records] == ["report.invalid"]
    file.write_text(json.dumps(results(name="toy:5m")))
    assert names() == ["toy:5m"]


def test_no_report_has_no_models() -> None:
    assert asyncio.run(LoadTestReport(None).models()) == {}
