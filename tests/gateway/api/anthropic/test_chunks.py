"""Events of inference -> events and whole responses of Anthropic's API."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.api.anthropic.parsing import parse, whole
from gateway.fake_inference import finished, started
from sizeup_gateway.api.anthropic.chunks import MessageChunks
from sizeup_gateway.responses.framing import Timing, named_events
from sizeup_gateway.responses.json_bytes import encode_pieces
from sizeup_wire.events import (
    Event,
    FinishReason,
    Text,
    Thinking,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)

AT = Timing(datetime(2026, 1, 1, tzinfo=UTC), 0)
CALL: list[Event] = [
    ToolCallStarted(index=0, id="call_1", name="weather"),
    ToolCallArguments(index=0, text='{"city"'),
    ToolCallArguments(index=0, text=': "北京"}'),
    ToolCall(index=0, id="call_1", name="weather", arguments={"city": "北京"}),
]


def streamed(*events: Event, **options: Any) -> list[dict[str, Any]]:
    chunks = MessageChunks("msg_1", "m", **options)
    framing = named_events(lambda _error: [])
    sent = b"".join(framing.frame(chunks.to_chunks(event, AT)) for event in events)
    return parse((sent + framing.end).decode())


def collected(*events: Event, **options: Any) -> Any:
    chunks = MessageChunks("msg_1", "m", **options)
    for event in events:
        chunks.collect(event)
    return json.loads(b"".join(encode_pieces(chunks.to_response(AT))))


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        (
            [Text(text="a"), Text(text="b"), finished(2)],
            ["content_block_start", "text_delta", "text_delta", "content_block_stop"],
        ),
        (
            [Thinking(text="hm"), Text(text="a"), finished(2)],
            [
                "content_block_start", "thinking_delta", "signature_delta", "content_block_stop",
                "content_block_start", "text_delta", "content_block_stop",
            ],
        ),
        (
            [*CALL, finished(9, FinishReason.TOOL_CALLS)],
            ["content_block_start", "input_json_delta", "input_json_delta", "content_block_stop"],
        ),
        (
            [*CALL[-1:], finished(9, FinishReason.TOOL_CALLS)],
            ["content_block_start", "input_json_delta", "content_block_stop"],
        ),
        (
            [*CALL[:2], finished(9, FinishReason.LENGTH)],
            ["content_block_start", "input_json_delta", "content_block_stop"],
        ),
        ([finished(0)], []),
    ],
    ids=["text", "thinking", "streamed call", "whole call", "cut off", "empty"],
)  # fmt: skip
def test_the_order_of_events(events: list[Event], kinds: list[str]) -> None:
    sent = [
        event.get("delta", {}).get("type", event["type"]) for event in streamed(started(), *events)
    ]
    assert sent == ["message_start", "ping", *kinds, "message_delta", "message_stop"]


@pytest.mark.parametrize(
    "events",
    [
        [Text(text=text) for text in ("世", "界 👩‍👩‍👧 ", "e\u0301", "\u200d", '"\\\n')],
        [Thinking(text="嗯"), Thinking(text="…"), Text(text="ok"), *CALL, Text(text="after")],
        [*CALL, ToolCall(index=1, id="call_2", name="g", arguments={"x": [1, {"y": None}]})],
        [],
    ],
    ids=["characters", "everything", "calls", "nothing"],
)
@pytest.mark.parametrize("omits", [False, True])
def test_a_stream_makes_the_whole_message(events: list[Event], omits: bool) -> None:
    all_events = [started(), *events, finished(5)]
    assert whole(streamed(*all_events, omits_thinking=omits)) == collected(
        *all_events, omits_thinking=omits
    )


def test_thinking_is_omitted_on_request() -> None:
    message = collected(started(), Thinking(text="hm"), Text(text="a"), finished(2))
    assert [block["type"] for block in message["content"]] == ["thinking", "text"]
    assert message["content"][0]["signature"]
    omitting = collected(
        started(), Thinking(text="hm"), Text(text="a"), finished(2), omits_thinking=True
    )
    assert [block["type"] for block in omitting["content"]] == ["text"]


@pytest.mark.parametrize(
    ("reason", "stop_strings", "expected"),
    [
        (FinishReason.STOP, (), ("end_turn", None)),
        (FinishReason.STOP, (None,), ("end_turn", None)),
        (FinishReason.STOP, ("END",), ("stop_sequence", "END")),
        (FinishReason.LENGTH, (None,), ("max_tokens", None)),
        (FinishReason.TOOL_CALLS, (None,), ("tool_use", None)),
        (FinishReason.TOOL_CALLS, ("END",), ("tool_use", None)),
    ],
)
def test_why_a_message_ends(
    reason: FinishReason, stop_strings: tuple[str | None, ...], expected: tuple[str, str | None]
) -> None:
    end = finished(1, reason).model_copy(update={"stop_strings": stop_strings})
    for message in (whole(streamed(started(), end)), collected(started(), end)):
        assert (message["stop_reason"], message["stop_sequence"]) == expected


def test_the_parts_of_the_prompt_add_up() -> None:
    start, *_, delta, _ = streamed(started(), finished(3))
    assert start["message"]["usage"]["input_tokens"] == 7
    assert start["message"]["stop_reason"] is None
    assert delta["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 2,
        "output_tokens": 3,
    }


def test_the_size_of_a_whole_message_is_counted() -> None:
    chunks = MessageChunks("msg_1", "m", omits_thinking=True)
    sizes = [chunks.collect(e) for e in (started(), Thinking(text="a"), Text(text="好"), CALL[-1])]
    assert sizes == [0, 0, 3, len('{"city": "北京"}'.encode())]
