"""Short intervals for all comparisons."""

import pytest


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_gateway.comparison.fan_out._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("sizeup_gateway.comparison.fan_out._RETRY_SECONDS", 0.02)
