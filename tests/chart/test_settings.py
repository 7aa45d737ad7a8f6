"""Every environment variable of a container is read by its Settings class."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from chart.rendering import EVERYTHING, VARIANTS, Json, containers, environment, pods, render
from sizeup.settings import Settings as CliSettings
from sizeup_gateway.settings import Settings as GatewaySettings
from sizeup_inference.settings import Settings as InferenceSettings
from sizeup_loadtest.config import settings as loadtest_settings

SETTINGS: dict[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "inference": InferenceSettings,
    "wait": InferenceSettings,
    "pull": CliSettings,
    "mirror": CliSettings,
    "check": CliSettings,
}
"""Settings class by container name."""

T = TypeVar("T", bound=BaseSettings)

OTHERS = {
    "HOME": "the root filesystem is read-only, only /tmp is writable",
    "HF_HUB_OFFLINE": "huggingface_hub: no network access",
    "HTTP_PROXY": "aiohttp",
    "HTTPS_PROXY": "aiohttp",
    "NO_PROXY": "aiohttp",
    "CUDA_DEVICE_ORDER": "CUDA; set by the values of this test",
    "K8S_POD_NAME": "Kubernetes expands it in OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "sizeup_telemetry.tracing.settings, and OpenTelemetry's SDK",
    "OTEL_RESOURCE_ATTRIBUTES": "OpenTelemetry's SDK",
    "OTEL_SERVICE_NAME": "OpenTelemetry's SDK",
}
"""Variables that libraries read, with the reader."""


def variables_of(settings: type[BaseSettings]) -> Iterator[str]:
    """Yield the variables that a Settings class reads."""
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in settings.model_fields.items():
        alias: Any = field.validation_alias
        if alias is None:
            yield f"{prefix}{name}".upper()
        elif isinstance(alias, AliasChoices):
            yield from map(str, alias.choices)
        else:
            yield str(alias)


def read_by(container: str) -> set[str]:
    """Return the variables that the program in a container reads."""
    if container == "loadtest":
        source = inspect.getsource(loadtest_settings)
        return set(re.findall(r'environ\.get\("(\w+)"', source))
    return set(variables_of(SETTINGS[container]))


def in_arguments(container: Json) -> set[str]:
    """Return the variables that Kubernetes expands in the arguments."""
    return set(re.findall(r"\$\((\w+)\)", " ".join(map(str, container.get("args", [])))))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variable_is_read(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in containers(pod):
            known = {*read_by(container["name"]), *OTHERS, *in_arguments(container)}
            assert environment(container).keys() - known == set(), name


def test_gateway_settings_accept_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parsed("gateway", GatewaySettings, monkeypatch)
    assert settings.metrics_port == 9090
    assert settings.host == "0.0.0.0"


def test_inference_settings_accept_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for container in ("inference", "wait"):
        settings = parsed(container, InferenceSettings, monkeypatch)
        assert settings.port == 8080
        assert str(settings.hub_cache) == "/models"


def test_download_settings_accept_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parsed("pull", CliSettings, monkeypatch)
    assert settings.hf_endpoint == "https://hub.example.com:8443"
    assert str(settings.hub_cache) == "/models"


def parsed(name: str, kind: type[T], monkeypatch: pytest.MonkeyPatch) -> T:
    """Parse the environment of each container of this name; return the last one."""
    found = None
    for _, pod in pods(render(EVERYTHING)):
        for container in (c for c in containers(pod) if c["name"] == name):
            with monkeypatch.context() as patch:
                for variable, value in environment(container).items():
                    patch.setenv(variable, value if isinstance(value, str) else "secret")
                found = kind()
    assert found is not None
    return found
