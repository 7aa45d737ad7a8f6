"""Adaptation to strict servers: which parameters a server refuses, by its own words. Pure.

OpenAI names the parameter in `error.param`, others only in the message. Only these parameters are
dropped, each at most once, and `max_tokens` and `max_completion_tokens` replace each other once.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from sizeup_loadtest.client.error_response import ErrorResponse
from sizeup_loadtest.config.servers import MaxTokensField, Server

_EFFECTS = {
    "ignore_eos": "output lengths are not fixed",
    "min_tokens": "output lengths are not fixed",
    "temperature": "outputs are sampled at the server's own temperature",
    "seed": "outputs differ from run to run",
    "stream_options": "tokens are counted by chunks",
}
"""Parameter -> what its absence means for the results."""
_OTHER: dict[MaxTokensField, MaxTokensField] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
_RENAMED = "max_tokens renamed"
"""In `Server.omitted`: the other name has been tried."""
_STATUSES = ("HTTP 400", "HTTP 422")


def without(server: Server, refused: ErrorResponse) -> Server | None:
    """Return the server without the parameter that it refuses; None when that is no such one."""
    if server.api != "openai" or not refused.message.startswith(_STATUSES):
        return None
    sent = {*_EFFECTS, server.max_tokens_field} - server.omitted
    name = next((name for name in _named(refused) if name in sent), None)
    if name is None:
        return None
    if name != server.max_tokens_field:
        return replace(server, omitted=server.omitted | {name})
    if _RENAMED in server.omitted:
        return None
    other = _OTHER[server.max_tokens_field]
    return replace(server, max_tokens_field=other, omitted=server.omitted | {_RENAMED})


def adaptations(server: Server) -> tuple[str, ...]:
    """Return in words how the requests to a server differ from the config."""
    effects: dict[str, list[str]] = {}
    for name in (name for name in _EFFECTS if name in server.omitted):
        effects.setdefault(_EFFECTS[name], []).append(name)
    dropped = [f"measured without {' and '.join(n)}: {effect}" for effect, n in effects.items()]
    if _RENAMED in server.omitted:
        field = server.max_tokens_field
        dropped.append(f"measured with {field}: the server refuses {_OTHER[field]}")
    return tuple(dropped)


def _named(refused: ErrorResponse) -> Iterator[str]:
    """Yield the parameters that an error names, the most certain first."""
    if refused.parameter is not None:
        yield refused.parameter.rpartition(".")[2]
    yield from re.findall(r"\w+", refused.message)
