"""Environment variables of the load test; no other module reads the environment."""

import os
from pathlib import Path

from sizeup_loadtest.errors import ConfigError


def default_url() -> str | None:
    """Return SIZEUP_URL, which `sizeup` reads too."""
    return os.environ.get("SIZEUP_URL") or None  # noqa: TID251


DEFAULT_KEY = "SIZEUP_BENCH_API_KEY"
"""Holds the API key of one host, for which the config names no other variable."""


def api_key(variable: str | None) -> str | None:
    """Return the key in a variable that the config names; ConfigError when it has none.

    Without one it is that in DEFAULT_KEY; None when that is not set.
    """
    key = os.environ.get(variable or DEFAULT_KEY, "").strip()  # noqa: TID251
    source = f"api_key_env: environment variable {variable}" if variable else DEFAULT_KEY
    if variable and not key:
        raise ConfigError(f"{source} is not set")
    return _sendable(key, source) if key else None


def gateway_key() -> str | None:
    """Return the key in SIZEUP_API_KEY_FILE, None when it is not configured."""
    path = os.environ.get("SIZEUP_API_KEY_FILE")  # noqa: TID251
    return _sendable(_first_key(Path(path)), "SIZEUP_API_KEY_FILE") if path else None


def _sendable(key: str, source: str) -> str:
    """Return a key that a header can carry."""
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{source}: an API key is printable ASCII")
    return key


def _first_key(file: Path) -> str:
    """Return the first key of a gateway's key file: limits follow it, and # begins a comment."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"SIZEUP_API_KEY_FILE: {file}: {error}") from None
    firsts = (line.split(maxsplit=1)[0] for line in text.splitlines() if line.strip())
    key = next((first for first in firsts if not first.startswith("#")), None)
    if key is None:
        raise ConfigError(f"SIZEUP_API_KEY_FILE: no key in {file}")
    return key


def lm_eval_environment(key: str | None) -> dict[str, str]:
    """Return the environment of the lm-eval subprocess, with the key where lm-eval reads it."""
    return {**os.environ} | ({} if key is None else {"OPENAI_API_KEY": key})  # noqa: TID251
