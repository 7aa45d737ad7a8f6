from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.client.fake_gateway import FakeGateway, running_gateway
from hub_server import HubServer, running_hub


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with running_gateway() as running:
        yield running


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide the settings, caches and logs of the user who runs the tests."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("SIZEUP_URL", "SIZEUP_CATALOG", "SIZEUP_TOY_DIR", "SIZEUP_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home))
    return home


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with running_hub() as server:
        yield server
