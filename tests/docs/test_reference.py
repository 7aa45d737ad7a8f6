"""The tables of settings and metrics."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from docs.make_reference import metrics_table, settings_table
from docs.reference_sources import collectors


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="X_")

    port: int = Field(80, ge=1, le=9, description="a port")
    pause: float | None = Field(None, gt=0, description="seconds | minutes")
    level: Literal["low", "high"] = Field("low", description="a level")
    ratio: float = Field(30.0, description="a ratio")
    offline: bool = Field(False, validation_alias="OFFLINE", description="a switch")
    name: str = Field(validation_alias=AliasChoices("NAME", "OLD_NAME"), description="a name")


def test_a_setting_has_its_variables_type_bounds_and_default() -> None:
    _, _, *rows = settings_table(Settings).splitlines()
    assert rows == [
        "| `X_PORT` | integer, ≥ 1, ≤ 9 | `80` | a port |",
        r"| `X_PAUSE` | number, > 0 | unset | seconds \| minutes |",
        "| `X_LEVEL` | `low`, `high` | `low` | a level |",
        "| `X_RATIO` | number | `30` | a ratio |",
        "| `OFFLINE` | true or false | `false` | a switch |",
        "| `NAME`, `OLD_NAME` | text | required | a name |",
    ]


def test_a_metric_has_its_exposed_name_type_and_labels() -> None:
    registry = CollectorRegistry()
    Counter("x_requests", "Requests", ["model", "outcome"], registry=registry)
    Histogram("x_wait_seconds", "Wait", registry=registry)
    _, _, *rows = metrics_table(list(collectors(registry))).splitlines()
    assert rows == [
        "| `x_requests_total` | counter | `model`, `outcome` | Requests |",
        "| `x_wait_seconds` | histogram |  | Wait |",
    ]
