import subprocess
import sys

import pytest

from sizeup_telemetry.tracing.settings import TracingSettings
from sizeup_telemetry.tracing.spans import open_tracing

ENDPOINT = {"EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
GRPC = {"EXPORTER_OTLP_PROTOCOL": "grpc", "PYTHON_EXCLUDED_URLS": "("}
_PROGRAM = """
import sys, sizeup_gateway.__main__, sizeup_inference.__main__
from sizeup_telemetry.tracing.spans import open_tracing
assert open_tracing("test") is None
sdk = ("opentelemetry.sdk", "opentelemetry.exporter")
sys.exit(str([name for name in sys.modules if name.startswith(sdk)]))
"""


@pytest.mark.parametrize(
    ("variables", "enabled"),
    [
        ({}, False),
        ({"EXPORTER_OTLP_ENDPOINT": ""}, False),
        (ENDPOINT, True),
        ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"TRACES_EXPORTER": "otlp"}, True),
        (ENDPOINT | {"TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"SDK_DISABLED": "true"}, False),
        (ENDPOINT | {"SDK_DISABLED": "false"}, True),
        (ENDPOINT | {"EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        (
            ENDPOINT
            | {
                "EXPORTER_OTLP_PROTOCOL": "grpc",
                "EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            True,
        ),
        (GRPC, False),
        (ENDPOINT | GRPC | {"TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | GRPC | {"TRACES_EXPORTER": "console", "SDK_DISABLED": "true"}, False),
    ],
)
def test_the_variables_of_opentelemetry_enable_tracing(
    variables: dict[str, str], enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    assert TracingSettings().enabled is enabled


@pytest.mark.parametrize(
    "variables",
    [
        {"TRACES_EXPORTER": "console"},
        {"EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"PYTHON_EXCLUDED_URLS": "/api/tags,("},
        {"SDK_DISABLED": "maybe"},
    ],
)
def test_what_is_not_supported_is_an_error(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (ENDPOINT | variables).items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    with pytest.raises(ValueError, match=f"(?i){next(iter(variables))}"):
        open_tracing("test")


def test_excluded_urls_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", "/api/tags, ,/api/ps$")
    assert TracingSettings().excluded_urls == ["/api/tags", "/api/ps$"]


def test_without_the_variables_neither_the_sdk_nor_an_exporter_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env={}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "[]\n")
