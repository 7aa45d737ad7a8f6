"""Settings of the command line, from SIZEUP_* and the variables Hugging Face's tools share."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from sizeup_store.settings import HubCacheSettings

DEFAULT_PORT = 11434
"""Ollama's port: its clients find sizeup without being told."""

_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class Settings(HubCacheSettings):
    """What a person may set once instead of on every command."""

    model_config = SettingsConfigDict(env_prefix="SIZEUP_", frozen=True, populate_by_name=True)

    url: str = Field(
        f"http://127.0.0.1:{DEFAULT_PORT}", description="the gateway that ask, chat and models use"
    )
    catalog: Path | None = Field(None, description="YAML file with models of your own")
    toy_dir: Path | None = Field(None, description="folder of the toy models")
    engine: Literal["transformers", "fake"] = Field(
        "transformers", description="fake: `up` serves known tokens without torch"
    )
    drain_seconds: float = Field(
        10.0, ge=0, le=3600, description="time running answers get when `up` is stopped"
    )
    restart_seconds: float = Field(
        0.5, gt=0, le=30, description="first wait before a dead child starts again; doubles"
    )
    answer_seconds: float = Field(
        600.0, gt=0, description="longest silence of the gateway that ask and chat accept"
    )
    hub_seconds: float = Field(
        30.0, gt=0, le=3600, description="longest silence of the hub that pull accepts"
    )
    hub_attempts: int = Field(
        5, ge=1, le=100, description="failures in a row without progress before pull gives up"
    )
    hub_backoff_seconds: float = Field(
        0.5, ge=0, le=60, description="first wait after a failure of the hub; doubles each time"
    )

    ca_file: Path | None = Field(
        None, description="certificates that pull trusts beside the system's, in PEM form"
    )
    umask: str | None = Field(
        None,
        pattern="^[0-7]{3,4}$",
        description="permissions, octal, that pull withholds from what it writes, for a cache that "
        "other users read; default: the process's own",
    )

    hf_hub_offline: bool = Field(
        False,
        validation_alias="HF_HUB_OFFLINE",
        description="pull asks nobody and is content with a model that is complete",
    )
    hf_endpoint: str = Field(
        "https://huggingface.co", validation_alias="HF_ENDPOINT", description="the hub or a mirror"
    )
    xdg_state_home: Path = Field(
        Path("~/.local/state"), validation_alias="XDG_STATE_HOME", description="parent of the logs"
    )
    xdg_config_home: Path = Field(
        Path("~/.config"), validation_alias="XDG_CONFIG_HOME", description="parent of the catalogue"
    )

    @property
    def log_dir(self) -> Path:
        """Where `up` keeps the logs of its children."""
        return self.xdg_state_home.expanduser() / "sizeup"

    @property
    def user_catalog(self) -> Path:
        """The catalogue file that is read when it exists."""
        return self.xdg_config_home.expanduser() / "sizeup" / "models.yaml"


def inherited_environment() -> dict[str, str]:
    """Return this process's environment for a child, without what serving has no use for."""
    return {k: v for k, v in os.environ.items() if k not in _SECRETS}  # noqa: TID251
