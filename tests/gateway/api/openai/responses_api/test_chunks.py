"""Events of inference -> events and whole responses of the Responses API."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.api.openai.responses_api.parsing import parse
from gateway.fake_inference import finished, started
from sizeup_gateway.api.openai.responses_api.chunks import ResponsesChunks
from sizeup_gateway.api.openai.responses_api.echo import to_response
from sizeup_gateway.api.openai.responses_api.items import ItemOptions
from sizeup_gateway.api.openai.responses_api.schema import ResponsesRequest
from sizeup_gateway.api.openai.responses_api.translate import from_responses
from sizeup_gateway.errors import BusyError, GatewayError, InvalidRequestError, UpstreamError
from sizeup_gateway.responses.framing import Timing, named_events
from sizeup_gateway.responses.json_bytes import encode_pieces
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    Event,
    FinishReason,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
    TopLogprob,
)
from sizeup_wire.generate import Sampling

AT = Timing(datetime(2026, 1, 1, tzinfo=UTC), 0)
CALL: list[Event] = [
    ToolCallStarted(index=0, id="call_1", name="crm__find"),
    ToolCallArguments(index=0, text='{"name"'),
    ToolCallArguments(index=0, text=': "王"}'),
    ToolCall(index=0, id="call_1", name="crm__find", arguments={"name": "王"}),
]


def new_chunks(**options: Any) -> ResponsesChunks:
    body = ResponsesRequest.model_validate({"model": "m", "input": "hi"})
    wire, _ = from_responses(body)
    response = to_response(body, wire, Sampling(), id="resp_1", created_at=1, model="m")
    return ResponsesChunks(response, ItemOptions(**options))


def streamed(*events: Event, error: GatewayError | None = None, **options: Any) -> list[Any]:
    chunks = new_chunks(**options)
    framing = named_events(chunks.to_failed)
    sent = b"".join(framing.frame(chunks.to_chunks(event, AT)) for event in events)
    if error is not None:
        sent += framing.error(error)
    return parse((sent + framing.end).decode())


def whole(*events: Event, **options: Any) -> Any:
    chunks = new_chunks(**options)
    for event in events:
        chunks.collect(event)
    return json.loads(b"".join(encode_pieces(chunks.to_response(AT))))


def without_ids(response: dict[str, Any]) -> dict[str, Any]:
    return response | {"output": [item | {"id": ""} for item in response["output"]]}


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        (
            [Text(text="a"), Text(text="b"), finished(2)],
            [
                "output_item.added", "content_part.added", "output_text.delta",
                "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
                "completed",
            ],
        ),
        (
            [Thinking(text="hm"), finished(1)],
            [
                "output_item.added", "content_part.added", "reasoning_text.delta",
                "reasoning_text.done", "content_part.done", "output_item.done", "completed",
            ],
        ),
        (
            [*CALL, finished(9, FinishReason.TOOL_CALLS)],
            [
                "output_item.added", "function_call_arguments.delta",
                "function_call_arguments.delta", "function_call_arguments.done",
                "output_item.done", "completed",
            ],
        ),
        (
            [*CALL[-1:], finished(9, FinishReason.TOOL_CALLS)],
            [
                "output_item.added", "function_call_arguments.delta",
                "function_call_arguments.done", "output_item.done", "completed",
            ],
        ),
        (
            [Text(text="a"), finished(1, FinishReason.LENGTH)],
            [
                "output_item.added", "content_part.added", "output_text.delta",
                "output_text.done", "content_part.done", "output_item.done", "incomplete",
            ],
        ),
        ([finished(0)], ["completed"]),
    ],
    ids=["text", "reasoning", "streamed call", "whole call", "length", "empty"],
)  # fmt: skip
def test_the_order_of_events(events: list[Event], kinds: list[str]) -> None:
    sent = [event["type"].removeprefix("response.") for event in streamed(started(), *events)]
    assert sent == ["created", "in_progress", *kinds]


OUTPUTS = pytest.mark.parametrize(
    "events",
    [
        [Text(text=text) for text in ("世", "界 👩‍👩‍👧 ", "e\u0301", "\u200d", '"\\\n')],
        [Thinking(text="嗯"), Thinking(text="…"), Text(text="ok"), *CALL, Text(text="after")],
        [*CALL, ToolCall(index=1, id="call_2", name="g", arguments={"x": [1, {"y": None}]})],
        [],
    ],
    ids=["characters", "everything", "calls", "nothing"],
)


@OUTPUTS
@pytest.mark.parametrize("summarizes", [False, True])
def test_a_stream_ends_with_the_whole_response(events: list[Event], summarizes: bool) -> None:
    options: dict[str, Any] = {
        "names": {"crm__find": ("crm", "find")},
        "summarizes": summarizes,
        "seals": True,
    }
    all_events = [started(), *events, finished(5)]
    last = streamed(*all_events, **options)[-1]["response"]
    assert without_ids(last) == without_ids(whole(*all_events, **options))


def test_a_function_of_a_namespace_is_named_as_the_client_named_it() -> None:
    options: dict[str, Any] = {"names": {"crm__find": ("crm", "find")}}
    (call,) = whole(started(), *CALL, finished(1, FinishReason.TOOL_CALLS), **options)["output"]
    assert (call["namespace"], call["name"], call["call_id"]) == ("crm", "find", "call_1")
    assert call["arguments"] == '{"name": "王"}'


@pytest.mark.parametrize("cut", [1, 2])
def test_a_call_that_is_cut_off_is_incomplete(cut: int) -> None:
    events = streamed(started(), *CALL[:cut], finished(9, FinishReason.LENGTH))
    response = events[-1]["response"]
    assert (response["status"], response["output"][0]["status"]) == ("incomplete", "incomplete")
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["completed_at"] is None


def test_only_the_last_item_of_an_incomplete_response_is_incomplete() -> None:
    response = whole(
        started(), Thinking(text="a"), Text(text="b"), finished(2, FinishReason.LENGTH)
    )
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


def test_reasoning_is_returned_as_its_summary_if_one_is_requested() -> None:
    events = streamed(started(), Thinking(text="hm"), finished(1), summarizes=True)
    kinds = [event["type"].removeprefix("response.") for event in events[2:-1]]
    assert kinds == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    (item,) = events[-1]["response"]["output"]
    assert item["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "content" not in item


def test_logprobs_are_those_of_the_text() -> None:
    top = TopLogprob(token="ok", bytes=tuple(b"ok"), logprob=-0.2)
    token = TokenLogprob(token="好", bytes=tuple("好".encode()), logprob=-0.1, top=(top,))
    events = streamed(
        started(), Thinking(text="嗯", logprobs=(token,)), Text(text="好", logprobs=(token,)),
        finished(2),
    )  # fmt: skip
    reasoning, message = events[-1]["response"]["output"]
    assert "logprobs" not in reasoning["content"][0]
    expected = [
        {
            "token": "好",
            "logprob": -0.1,
            "bytes": list("好".encode()),
            "top_logprobs": [{"token": "ok", "logprob": -0.2, "bytes": list(b"ok")}],
        }
    ]
    assert message["content"][0]["logprobs"] == expected
    (delta,) = [e for e in events if e["type"] == "response.output_text.delta"]
    assert delta["logprobs"] == expected


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamError(ErrorCode.UPSTREAM_LOST, "x"), "server_error"),
        (UpstreamError(ErrorCode.TIMEOUT, "x"), "server_error"),
        (BusyError(), "rate_limit_exceeded"),
        (InvalidRequestError("x"), "invalid_prompt"),
    ],
)
@pytest.mark.parametrize("sent", [0, 1, 2, 3])
def test_an_error_is_the_terminal_event(error: GatewayError, code: str, sent: int) -> None:
    events = [started(), Text(text="a"), *CALL[:1]][:sent]
    last = streamed(*events, error=error)[-1]
    assert last["type"] == "response.failed"
    response = last["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", code)
    statuses = [item["status"] for item in response["output"]]
    assert statuses == [[], [], ["incomplete"], ["completed", "incomplete"]][sent]


def test_an_error_after_the_terminal_event_is_not_sent() -> None:
    events = streamed(started(), finished(0), error=UpstreamError(ErrorCode.TIMEOUT, "x"))
    assert events[-1]["type"] == "response.completed"


def test_what_is_kept_is_counted() -> None:
    chunks = new_chunks()
    text = "好" * 10
    assert chunks.collect(started()) == 0
    assert chunks.collect(Text(text=text)) == len(text.encode())
    assert chunks.collect(CALL[0]) == 0
    assert chunks.collect(CALL[1]) == len(b'{\\"name\\"')
    assert chunks.kept_bytes == len(text.encode()) + len(b'{\\"name\\"')
