"""What the load test takes from the environment; nothing else reads it."""

import os
from dataclasses import dataclass
from pathlib import Path

from sizeup_loadtest.errors import ConfigError, UsageError


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of the plan this process sends."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        """Refuse a shard that is not there."""
        if not 0 <= self.index < self.count:
            raise UsageError(f"shard {self.index} of {self.count}: count from 0 up")


def default_url() -> str | None:
    """Return SIZEUP_URL, which `sizeup` reads too."""
    return os.environ.get("SIZEUP_URL") or None  # noqa: TID251


def api_key(variable: str | None) -> str | None:
    """Return the key in a variable a config names, else the one in SIZEUP_API_KEY_FILE, if any.

    ConfigError when what is named holds none.
    """
    if variable is None:
        path = os.environ.get("SIZEUP_API_KEY_FILE")  # noqa: TID251
        return _first_line(Path(path)) if path else None
    key = os.environ.get(variable)  # noqa: TID251
    if not key:
        raise ConfigError(f"target.api_key_env: the variable {variable} is not set")
    return key


def _first_line(file: Path) -> str:
    """Return the first key of a gateway's file of keys, one a line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"SIZEUP_API_KEY_FILE: {file}: {error}") from None
    key = next((line.strip() for line in text.splitlines() if line.strip()), None)
    if key is None:
        raise ConfigError(f"SIZEUP_API_KEY_FILE: no key in {file}")
    return key


def lm_eval_environment(key: str | None) -> dict[str, str]:
    """Return the environment lm-eval starts with: this one, and the key where it looks for it."""
    return {**os.environ} | ({} if key is None else {"OPENAI_API_KEY": key})  # noqa: TID251


def shard_index() -> int:
    """Return the index an Indexed Job gives its pod, else 0."""
    text = os.environ.get("JOB_COMPLETION_INDEX", "0")  # noqa: TID251
    if not text.isdecimal():
        raise UsageError(f"JOB_COMPLETION_INDEX is not a number: {text[:32]!r}")
    return int(text)
