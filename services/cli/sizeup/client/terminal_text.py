"""Text of models and servers, made safe to print."""

import json
import re
import unicodedata
from typing import Any

_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional controls: a terminal that obeys them reorders the rest of the line, which may hold
another column or a prompt."""
_UNESCAPED_BY_JSON = re.compile("[\x7f-\x9f]")


def printable(text: str) -> str:
    """Drop control characters except newline and tab: a model must not control the terminal."""
    return "".join(c for c in text if c in "\n\t" or not _is_control(c))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" or character in _REORDERING


def one_line(text: str) -> str:
    """Return printable text with single spaces in place of line breaks."""
    return " ".join(printable(text).split())


def json_line(value: Any) -> str:
    """Return JSON on one line, readable in every script, without any control character."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNESCAPED_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
