"""The mock's command line -> its behaviour."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.mock.behaviour import FAILURES, Size
from sizeup_loadtest.record import Outcome

_SHORT = {"ttft": "ttft_seconds", "gap": "gap_seconds", "load": "load_seconds"}
_KEYS = {field.name: field.type for field in fields(Size)}


def size(text: str, default: Size) -> Size:
    """Read `name=mock:7b,ttft=0.3,gap=0.04,parallel=2`; what is left out is the default's."""
    made = default
    for part in text.split(","):
        key, _, value = part.partition("=")
        name = _SHORT.get(key.strip(), key.strip())
        if name not in _KEYS or not value:
            known = ", ".join([*_KEYS, *_SHORT])
            raise UsageError(f"--size {text}: not key=value with one of {known}")
        made = _changed(made, name, value.strip(), text)
    return made


def _changed(made: Size, name: str, value: str, text: str) -> Size:
    kind = type(getattr(made, name))
    try:
        return replace(made, **{name: kind(value)})
    except ValueError as error:
        raise UsageError(f"--size {text}: {error}") from None


def failures(kinds: Sequence[str], share: float) -> dict[Outcome, float]:
    """Spread a share of failures evenly over kinds."""
    if unknown := [kind for kind in kinds if kind not in FAILURES]:
        raise UsageError(f"--fail-kind {unknown[0]}: one of {', '.join(sorted(FAILURES))}")
    chosen = {Outcome(kind) for kind in kinds}
    return {kind: share / len(chosen) for kind in chosen} if share else {}


def answers(path: Path | None) -> dict[str, str]:
    """Read a JSON object of prompts and their right answers."""
    if path is None:
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--answers {path}: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise UsageError(f"--answers {path}: not an object of prompts and answers")
    return value
