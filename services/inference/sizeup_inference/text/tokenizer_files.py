"""The files of a tokenizer. No transformers, whose import takes seconds."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sizeup_store.weights import read_json

_TEMPLATE = "chat_template.jinja"
_CONFIG = "tokenizer_config.json"
_TOKENIZER = "tokenizer.json"


def read_template(folder: Path) -> str:
    """Return the chat template, as transformers does; empty for a base model without one."""
    file = folder / _TEMPLATE
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = _read(folder / _CONFIG).get("chat_template")
    return template if isinstance(template, str) else ""  # not several by name


def read_added_tokens(folder: Path) -> frozenset[str]:
    """Return the added tokens, of the small file where it has them: tokenizer.json has 10 MB."""
    by_id = _read(folder / _CONFIG).get("added_tokens_decoder")
    listed = by_id.values() if isinstance(by_id, dict) else None
    return _contents(listed or _read(folder / _TOKENIZER).get("added_tokens") or ())


def capabilities(template: str, *, infills: bool = False) -> tuple[str, ...]:
    """Return what a chat template and a tokenizer support, as ModelInfo.capabilities."""
    found = ["completion"]
    if infills:
        found.append("insert")
    if re.search(r"\btools\b", template):
        found.append("tools")
    if "enable_thinking" in template or "<think>" in template:
        found.append("thinking")
    return tuple(found)


def _read(file: Path) -> Mapping[str, Any]:
    return read_json(file) if file.is_file() else {}


def _contents(tokens: Iterable[Any]) -> frozenset[str]:
    return frozenset(str(token["content"]) for token in tokens if isinstance(token, dict))
