"""Server-sent events with names, as the Responses API and Anthropic's API send them."""

import json
from typing import Any


def named_events(stream: str) -> list[dict[str, Any]]:
    """Return the events; AssertionError for one whose name is not its type."""
    events = []
    for block in stream.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events
