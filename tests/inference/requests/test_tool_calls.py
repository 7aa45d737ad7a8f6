"""Tool calls of one request through a scripted engine."""

import json

from inference.scripted import chat, finished, run, text_of
from sizeup_inference.engine.protocol import Finish
from sizeup_wire.events import (
    Finished,
    FinishReason,
    Started,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)
from sizeup_wire.generate import GenerateRequest

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = b'<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'


def with_tools(**fields: object) -> GenerateRequest:
    return chat(tools=[TOOL]).model_copy(update=fields)


def test_a_call_is_streamed_where_it_is_requested() -> None:
    events, _ = run(with_tools(stream_tool_calls=True), CALL + CALL, end=Finish.STOP)
    streamed = [e for e in events if isinstance(e, ToolCallStarted | ToolCallArguments | ToolCall)]
    started = [e for e in streamed if isinstance(e, ToolCallStarted)]
    calls = [e for e in streamed if isinstance(e, ToolCall)]
    assert [(e.index, e.name) for e in started] == [(0, "add"), (1, "add")]
    assert [(e.index, e.id) for e in started] == [(e.index, e.id) for e in calls]
    assert len({e.id for e in calls}) == 2
    for call in calls:
        texts = [e for e in streamed if isinstance(e, ToolCallArguments) and e.index == call.index]
        assert json.loads("".join(e.text for e in texts)) == call.arguments == {"a": 1}
    whole, _ = run(with_tools(), CALL, end=Finish.STOP)
    assert [type(e) for e in whole] == [Started, ToolCall, Finished]


def test_the_output_ends_after_one_call_where_calls_are_not_parallel() -> None:
    events, stage = run(with_tools(parallel_tool_calls=False), CALL + b" and " + CALL)
    assert [e.index for e in events if isinstance(e, ToolCall)] == [0]
    assert finished(events).reasons == (FinishReason.TOOL_CALLS,)
    assert len(stage.engine.cancelled) == 1


def test_an_invalid_call_that_was_streamed_ends_as_a_call() -> None:
    text = b'<tool_call>\n{"name": "add", "arguments": {"a": tru}}\n</tool_call>'
    events, _ = run(with_tools(stream_tool_calls=True), text, end=Finish.STOP)
    assert not any(isinstance(e, ToolCall) for e in events)
    assert finished(events).reasons == (FinishReason.TOOL_CALLS,)
    assert text_of(events) == ""
