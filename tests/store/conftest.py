from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from hub_server import HubServer, running_hub


@pytest.fixture(autouse=True)
def no_user_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings and the login of the user who runs the tests."""
    for name in ("HF_HOME", "HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with running_hub() as server:
        yield server
