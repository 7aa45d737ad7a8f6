"""Events of a stream, parsed and validated with the official client's types."""

import json
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from gateway.api.named_events import named_events

_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def parse(stream: str) -> list[dict[str, Any]]:
    """Return the events; AssertionError where the stream breaks a promise of the protocol."""
    events = named_events(stream)
    _check(events)
    return events


def _check(events: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert [kind for kind in kinds if kind in ("message_stop", "error")] == kinds[-1:]
    for event in events:
        if event["type"] == "error":
            assert set(event) == {"type", "error", "request_id"}
        elif event["type"] != "ping":
            _EVENT.validate_python(event)
    blocks = [event for event in events if "index" in event]
    assert [e["index"] for e in blocks] == sorted(e["index"] for e in blocks)
    starts = [e["index"] for e in blocks if e["type"] == "content_block_start"]
    assert starts == list(range(len(starts)))
    if kinds[-1] == "message_stop":
        assert kinds[-2] == "message_delta"
        assert kinds.count("content_block_stop") == len(starts)


def whole(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Build the whole message, as a client does."""
    message: dict[str, Any] = events[0]["message"]
    inputs: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                if delta["type"] == "input_json_delta":
                    inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
                    continue
                (name,) = delta.keys() - {"type"}
                block[name] += delta[name]
            case "message_delta":
                message |= event["delta"] | {"usage": event["usage"]}
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text)
    Message.model_validate(message)
    return message
