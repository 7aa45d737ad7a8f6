"""A variable that no Settings class reads is a value that does nothing."""

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
"""By container."""

T = TypeVar("T", bound=BaseSettings)

OTHERS = {
    "HOME": "the system is read-only but for /tmp",
    "HF_HUB_OFFLINE": "huggingface_hub: never asks the network",
    "HTTP_PROXY": "aiohttp",
    "HTTPS_PROXY": "aiohttp",
    "NO_PROXY": "aiohttp",
    "CUDA_DEVICE_ORDER": "CUDA; of the values of this test",
}
"""Read by libraries, and not by us."""


def variables_of(settings: type[BaseSettings]) -> Iterator[str]:
    """Yield the names of the variables that a Settings class reads."""
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
    """Return the variables that what runs in a container reads."""
    if container == "loadtest":
        source = inspect.getsource(loadtest_settings)
        return set(re.findall(r'environ\.get\("(\w+)"', source))
    return set(variables_of(SETTINGS[container]))


def in_arguments(container: Json) -> set[str]:
    """Return the variables that Kubernetes puts into a command line."""
    return set(re.findall(r"\$\((\w+)\)", " ".join(map(str, container.get("args", [])))))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variable_is_read_by_somebody(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in containers(pod):
            known = {*read_by(container["name"]), *OTHERS, *in_arguments(container)}
            assert environment(container).keys() - known == set(), name


def test_the_gateway_accepts_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given("gateway", GatewaySettings, monkeypatch)
    assert settings.metrics_port == 9090
    assert settings.host == "0.0.0.0"


def test_a_size_accepts_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for container in ("inference", "wait"):
        settings = given(container, InferenceSettings, monkeypatch)
        assert settings.port == 8080
        assert str(settings.hub_cache) == "/models"


def test_a_download_accepts_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given("pull", CliSettings, monkeypatch)
    assert settings.hf_endpoint == "https://hub.example.com:8443"
    assert str(settings.hub_cache) == "/models"


def given(name: str, kind: type[T], monkeypatch: pytest.MonkeyPatch) -> T:
    """Read every container's variables in turn; return what the last one says."""
    found = None
    for _, pod in pods(render(EVERYTHING)):
        for container in (c for c in containers(pod) if c["name"] == name):
            with monkeypatch.context() as patch:
                for variable, value in environment(container).items():
                    patch.setenv(variable, value if isinstance(value, str) else "secret")
                found = kind()
    assert found is not None
    return found
