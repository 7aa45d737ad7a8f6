"""Events of one choice -> segments."""

import json
from collections.abc import Sequence

import pytest

from gateway.fake_inference import finished, started
from sizeup_gateway.responses.segments import Segments
from sizeup_wire.events import (
    Event,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)

LOGPROB = TokenLogprob(token="", bytes=(), logprob=-0.5)


def streamed_call(index: int, *parts: str) -> list[Event]:
    id, name = f"call_{index}", f"f{index}"
    return [
        ToolCallStarted(index=index, id=id, name=name),
        *[ToolCallArguments(index=index, text=part) for part in parts],
        ToolCall(index=index, id=id, name=name, arguments=json.loads("".join(parts))),
    ]


def outline(events: Sequence[Event]) -> list[str]:
    """Return the steps in a notation: < opens, > closes, ! completes."""
    segments = Segments()
    steps: list[str] = []
    for event in events:
        step = segments.step(event)
        steps += [">"] if step.closes else []
        if step.opens is not None:
            steps.append(f"<{step.opens.kind}{step.opens.call_id and ' ' + step.opens.call_id}")
        steps += [step.text] if step.text else []
        steps += ["!"] if step.completes else []
    return steps


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Text(text="a"), Text(text="b")], ["<text", "a", "b", ">"]),
        ([Thinking(text="hm"), Text(text="a")], ["<reasoning", "hm", ">", "<text", "a", ">"]),
        (streamed_call(0, '{"a"', ": 1}"), ["<call call_0", '{"a"', ": 1}", "!"]),
        (
            [ToolCall(index=0, id="call_0", name="f", arguments={"城": "北京"})],
            ["<call call_0", '{"城": "北京"}', "!"],
        ),
        (
            [Text(text="a"), *streamed_call(0, "{}"), *streamed_call(1, "{}"), Text(text="b")],
            [
                "<text",
                "a",
                ">",
                "<call call_0",
                "{}",
                "!",
                "<call call_1",
                "{}",
                "!",
                *("<text", "b", ">"),
            ],
        ),
        (streamed_call(0, '{"a"', ": 1}")[:2], ["<call call_0", '{"a"', ">"]),
        ([Text(text="", logprobs=(LOGPROB,))], []),
        ([], []),
    ],
    ids=["text", "thinking", "call", "whole call", "calls between texts", "cut off", "eos", "none"],
)
def test_events_are_split(events: list[Event], expected: list[str]) -> None:
    assert outline([started(), *events, finished(1)]) == expected


def test_logprobs_without_text_belong_to_the_text_before_them() -> None:
    segments = Segments()
    segments.step(Text(text="a"))
    assert segments.step(Text(text="", logprobs=(LOGPROB,))).logprobs == (LOGPROB,)
