"""The rows of docs/api.md: what becomes of a field, with an example that tests post."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sizeup_gateway.api.request_body import RequestBody

Verdict = Literal["honoured", "ignored", "refused"]
MODEL = "qwen2.5:0.5b"
"""In the examples."""


@dataclass(frozen=True, slots=True)
class Row:
    """A field of a route."""

    name: str
    """Dotted; below a list, of its last element."""
    verdict: Verdict
    example: Any
    note: str
    beside: Mapping[str, Any]
    """Fields that the example needs, in place of those of the route's base."""


def honoured(name: str, example: Any, note: str = "", **beside: Any) -> Row:
    """Make a row: the field changes what reaches the model, or the response."""
    return Row(name, "honoured", example, note, beside)


def ignored(name: str, example: Any, reason: str, **beside: Any) -> Row:
    """Make a row: nothing changes."""
    return Row(name, "ignored", example, reason, beside)


def refused(name: str, example: Any, reason: str, **beside: Any) -> Row:
    """Make a row: an error 400, which names the field."""
    return Row(name, "refused", example, reason, beside)


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the gateway."""

    method: str
    path: str
    meaning: str
    status: int = 200
    """501 and 404: not supported, with an error that says why."""
    body: type[RequestBody] | None = None
    """The schema whose fields `rows` are; None where they are not listed."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """The body of the examples."""
    rows: Sequence[Row] = ()
