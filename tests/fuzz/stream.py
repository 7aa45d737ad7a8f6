"""The items of a streamed response, and whether it has ended as its dialect requires."""

import json
from typing import Any

Json = dict[str, Any]

NDJSON, SSE = "application/x-ndjson", "text/event-stream"
_DONE = "[DONE]"
_ENDS = ("response.completed", "response.incomplete", "message_stop")


def items_of(media_type: str, body: bytes) -> list[Json]:
    """Return the objects of a complete stream; raise ValueError for any other."""
    text = body.decode()
    if not text.endswith("\n"):
        raise ValueError("the last item is cut")
    items = _lines(text) if media_type == NDJSON else _events(text)
    if not items:
        raise ValueError("the stream is empty")
    return items


def _lines(text: str) -> list[Json]:
    items = [json.loads(line) for line in text[:-1].split("\n")]
    last = items[-1]
    if not (last.get("done") is True or last.get("status") == "success" or "error" in last):
        raise ValueError(f"the stream ends without its last item: {last}")
    return items


def _events(text: str) -> list[Json]:
    if not text.endswith("\n\n"):
        raise ValueError("the last event is cut")
    events = [dict(_field(line) for line in part.split("\n")) for part in text[:-2].split("\n\n")]
    data = [event["data"] for event in events]
    items = [json.loads(value) for value in data if value != _DONE]
    if data[-1] != _DONE and items[-1].get("type") not in _ENDS:
        raise ValueError(f"the stream ends without its last event: {items[-1]}")
    if data.count(_DONE) > 1:
        raise ValueError("more than one last event")
    for event, item in zip(events, items, strict=False):
        if event.get("event", item.get("type")) != item.get("type"):
            raise ValueError(f"the event {event['event']} has data of type {item.get('type')}")
    return items


def _field(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(": ")
    if not separator:
        raise ValueError(f"not a field: {line[:80]!r}")
    return name, value
