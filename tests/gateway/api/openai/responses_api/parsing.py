"""Events of a stream, parsed and validated with the official client's types."""

from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.api.named_events import named_events

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def parse(stream: str) -> list[dict[str, Any]]:
    """Return the events; AssertionError where the stream breaks a promise of the protocol."""
    events = named_events(stream)
    check(events)
    return events


def check(events: list[dict[str, Any]]) -> None:
    """Assert what holds for every stream."""
    for event in events:
        _EVENT.validate_python(event)
    kinds = [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert [kind for kind in kinds if kind in TERMINAL] == kinds[-1:]
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    _check_items(events)


def _check_items(events: list[dict[str, Any]]) -> None:
    """Assert that each item is added and done once, in order, with the text of its deltas."""
    items = [event for event in events if "output_index" in event]
    added = [e for e in items if e["type"] == "response.output_item.added"]
    assert [e["output_index"] for e in added] == list(range(len(added)))
    assert [e["output_index"] for e in items] == sorted(e["output_index"] for e in items)
    for start in added:
        own = [e for e in items if e["output_index"] == start["output_index"]]
        ids = {e.get("item_id") or e["item"]["id"] for e in own}
        assert len(ids) == 1
        deltas = "".join(e["delta"] for e in own if e["type"].endswith(".delta"))
        for end in own:
            if end["type"].endswith((".text.done", "_text.done", "arguments.done")):
                assert end.get("text", end.get("arguments")) == deltas
    done = [e["item"] for e in items if e["type"] == "response.output_item.done"]
    last = events[-1]
    if last["type"] != "response.failed":
        assert last["response"]["output"] == done
        Response.model_validate(last["response"])
