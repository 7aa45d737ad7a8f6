"""Tool calls of chat completions, streamed and whole."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.fake_inference import finished, started
from sizeup_gateway.api.openai.chunks import ChatChunks, Heading
from sizeup_gateway.responses.framing import Timing
from sizeup_gateway.responses.json_bytes import encode_pieces
from sizeup_wire.events import (
    Event,
    FinishReason,
    Text,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)

TIMING = Timing(datetime(2026, 1, 1, tzinfo=UTC), 1)


def begun(index: int, *pieces: str) -> list[Event]:
    call = ToolCallStarted(index=index, id=f"call_{index}", name="add")
    return [call, *(ToolCallArguments(index=index, text=piece) for piece in pieces)]


def ended(index: int) -> Event:
    return ToolCall(index=index, id=f"call_{index}", name="add", arguments={"a": index})


COMPLETE = [*begun(0, "{", '"a":0}'), ended(0)]
CUT = begun(1, "{", '"a": "lo')


def chunks(*, functions: bool = False) -> ChatChunks:
    heading = Heading("chatcmpl-1", 1, "m", None)
    return ChatChunks(heading, 1, usage=False, logprobs=False, functions=functions)


def streamed(events: Sequence[Event], *, functions: bool = False) -> list[Any]:
    made = chunks(functions=functions)
    return [c["choices"][0] for e in events for c in made.to_chunks(e, TIMING)]


def whole(events: Sequence[Event], *, functions: bool = False) -> Any:
    made = chunks(functions=functions)
    for event in events:
        made.collect(event)
    return json.loads(b"".join(encode_pieces(made.to_response(TIMING))))["choices"][0]


def joined(choices: Sequence[Any]) -> list[tuple[str, str, str]]:
    """Return id, name and arguments of each streamed call, joined as clients do."""
    calls: dict[int, list[str]] = {}
    for choice in choices:
        for delta in choice["delta"].get("tool_calls", ()):
            call = calls.setdefault(delta["index"], ["", "", ""])
            function = delta["function"]
            call[0] += delta.get("id", "")
            call[1] += function.get("name", "")
            call[2] += function["arguments"]
    return [(id, name, arguments) for id, name, arguments in calls.values()]


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([ended(0)], FinishReason.TOOL_CALLS),
        (COMPLETE, FinishReason.TOOL_CALLS),
        ([*COMPLETE, *begun(1, "{", '"a":1}'), ended(1)], FinishReason.TOOL_CALLS),
        (CUT, FinishReason.LENGTH),
        ([*COMPLETE, *CUT], FinishReason.LENGTH),
        ([*CUT, ended(2)], FinishReason.TOOL_CALLS),
    ],
)
def test_a_stream_and_a_whole_response_have_the_same_calls(
    calls: list[Event], reason: FinishReason
) -> None:
    events = [started(), Text(text="Hm."), *calls, finished(9, reason)]
    choices, response = streamed(events), whole(events)
    found = response["message"]["tool_calls"]
    given = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in found]
    parts = joined(choices)
    assert [call[:2] for call in parts] == [call[:2] for call in given]
    for (_, _, part), (_, _, arguments) in zip(parts, given, strict=True):
        assert part.replace(" ", "") == arguments.replace(" ", "")
    assert response["message"]["content"] == "Hm."
    assert choices[-1]["finish_reason"] == response["finish_reason"] == reason.value


def test_functions_are_the_predecessor_of_tools() -> None:
    events = [started(), *COMPLETE, finished(9, FinishReason.TOOL_CALLS)]
    response, choices = whole(events, functions=True), streamed(events, functions=True)
    call = response["message"]["function_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("add", {"a": 0})
    deltas = [c["delta"]["function_call"] for c in choices if "function_call" in c["delta"]]
    assert deltas[0] == {"name": "add", "arguments": ""}
    assert "".join(delta["arguments"] for delta in deltas) == '{"a":0}'
    assert response["finish_reason"] == choices[-1]["finish_reason"] == "function_call"
