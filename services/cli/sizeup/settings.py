"""Settings of the command line: SIZEUP_*, and the variables of huggingface_hub."""

import os
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from sizeup_store.settings import HubCacheSettings

DEFAULT_PORT = 11434
"""Ollama's port: the default of its clients."""
MIRROR_PORT = 8090

_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "SIZEUP_API_KEY")


class Settings(HubCacheSettings):
    """Defaults for the options of the commands."""

    model_config = SettingsConfigDict(env_prefix="SIZEUP_", frozen=True, populate_by_name=True)

    url: str = Field(
        f"http://127.0.0.1:{DEFAULT_PORT}",
        description="URL of the gateway for ask, chat, compare, check and models",
    )
    api_key: SecretStr | None = Field(
        None, description="API key of the gateway, sent by ask, chat, compare and models"
    )
    catalog: Path | None = Field(None, description="YAML file with additional models")
    toy_dir: Path | None = Field(None, description="folder of the toy models")
    engine: Literal["transformers", "fake"] = Field(
        "transformers", description="fake: `up` serves predefined tokens without torch"
    )
    drain_seconds: float = Field(
        10.0, ge=0, le=3600, description="time for requests in flight when `up` stops"
    )
    restart_seconds: float = Field(
        0.5, gt=0, le=30, description="first wait before `up` restarts a process; doubles"
    )
    answer_seconds: float = Field(
        600.0, gt=0, description="ask, chat, compare and check fail after this long without data"
    )
    hub_seconds: float = Field(
        30.0, gt=0, le=3600, description="pull retries after this long without data from the hub"
    )
    hub_attempts: int = Field(
        5, ge=1, le=100, description="pull fails after this many failures in a row without progress"
    )
    hub_backoff_seconds: float = Field(
        0.5, ge=0, le=60, description="first wait before pull retries; doubles each time"
    )

    ca_file: Path | None = Field(
        None, description="PEM certificates that pull trusts in addition to the system's"
    )
    umask: str | None = Field(
        None,
        pattern="^[0-7]{3,4}$",
        description="umask of pull, octal, for a cache that other users read; "
        "default: that of the process",
    )

    hf_hub_offline: bool = Field(
        False,
        validation_alias="HF_HUB_OFFLINE",
        description="pull makes no requests and accepts a complete model",
    )
    hf_endpoint: str = Field(
        "https://huggingface.co",
        validation_alias="HF_ENDPOINT",
        description="Hugging Face Hub or a mirror",
    )
    hf_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
        description="sent to the host of the endpoint only; default: the token file of "
        "huggingface_hub, HF_TOKEN_PATH or $HF_HOME/token",
    )
    xdg_state_home: Path = Field(
        Path("~/.local/state"),
        validation_alias="XDG_STATE_HOME",
        description="parent of the logs and of the models that users create",
    )
    xdg_config_home: Path = Field(
        Path("~/.config"),
        validation_alias="XDG_CONFIG_HOME",
        description="parent of the user's catalog",
    )

    @property
    def log_dir(self) -> Path:
        return self.xdg_state_home.expanduser() / "sizeup"

    @property
    def created_models(self) -> Path:
        """File of the models that users create at the gateway of `up`."""
        return self.log_dir / "created-models.json"

    @property
    def user_catalog(self) -> Path:
        """Catalog file of the user, which may not exist."""
        return self.xdg_config_home.expanduser() / "sizeup" / "models.yaml"


def inherited_environment() -> dict[str, str]:
    """Return this process's environment for a child, without tokens and keys."""
    return {k: v for k, v in os.environ.items() if k not in _SECRETS}  # noqa: TID251
