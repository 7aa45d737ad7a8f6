"""The folder of the model cache, by the environment variables of huggingface_hub."""

import os
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class HubCacheSettings(BaseSettings):
    """The Hugging Face cache, by the variables and the precedence of huggingface_hub."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True)

    hf_hub_cache: str | None = Field(
        None,
        validation_alias=AliasChoices("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"),
        description="the cache folder itself; default: hub/ under HF_HOME",
    )
    hf_home: str | None = Field(
        None,
        validation_alias="HF_HOME",
        description="Hugging Face's folder; default: huggingface/ under XDG_CACHE_HOME",
    )
    xdg_cache_home: str | None = Field(
        None,
        validation_alias="XDG_CACHE_HOME",
        description="parent of the caches; default: ~/.cache",
    )

    @property
    def hub_cache(self) -> Path:
        """The folder of models--org--name; may not exist."""
        caches = self.xdg_cache_home or "~/.cache"
        home = self.hf_home or f"{caches}/huggingface"
        return Path(os.path.expandvars(self.hf_hub_cache or f"{home}/hub")).expanduser()
