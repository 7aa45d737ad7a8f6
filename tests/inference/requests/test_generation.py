"""One request through a scripted engine."""

import asyncio
import json
import logging

import pytest

from inference.models import model_info
from inference.scripted import chat, finished, request, run, scene, text_of, token_events
from sizeup_inference.engine.protocol import (
    Admitted,
    Cancelled,
    EngineDeadError,
    Failed,
    Finish,
    Logprobs,
    QueueFullError,
    RequestTooLargeError,
    Token,
    TooManyChoicesError,
)
from sizeup_inference.errors import (
    BusyError,
    ContextLengthError,
    DrainingError,
    InferenceError,
    InvalidRequestError,
    NotReadyError,
)
from sizeup_inference.fake.model import IM_END
from sizeup_inference.requests.generation import PreparedRequest, accept, prepare
from sizeup_inference.requests.resolve import resolve
from sizeup_inference.text.stop_strings import StopStrings
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire import events as wire
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    Text,
    Thinking,
    ToolCall,
)


def test_durations_come_from_the_engines_timestamps() -> None:
    events, _ = run(request(), b"abc", end=Finish.STOP)
    assert isinstance(events[0], Started)
    assert (finished(events).prompt_eval_ns, finished(events).eval_ns) == (100, 30)


def test_cached_tokens_are_reported_at_the_end() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            prepared = await prepare(stage.model, request(cache_salt="a"))
            with accept(stage.model, prepared) as generation:
                (submitted,) = stage.engine.submitted
                assert submitted.cache_salt == "a"
                stage.deliver(Admitted(submitted.id, 0, cached_tokens=1))
                stage.deliver(*token_events(submitted.id, b"x", end=Finish.STOP))
                assert finished(await stage.all_events(generation)).cached_tokens == 1

    asyncio.run(scenario())


def test_the_eos_token_is_counted_without_text() -> None:
    events, stage = run(request(), b"abc", end=Finish.STOP)
    assert text_of(events) == "abc"
    assert finished(events).completion_tokens == 4
    assert sum(e.tokens for e in events if isinstance(e, Text)) == 3
    assert stage.engine.cancelled == []


def test_max_tokens_zero_needs_no_engine() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            prepared = await prepare(stage.model, request("hello", max_tokens=0))
            with accept(stage.model, prepared) as generation:
                started, end = await stage.all_events(generation)
            assert isinstance(started, Started)
            assert started.prompt_tokens == 5
            assert isinstance(end, Finished)
            assert end.reasons == (FinishReason.LENGTH,)
            assert stage.engine.submitted == []
            assert stage.engine.cancelled == []

    asyncio.run(scenario())


@pytest.mark.parametrize(("ignore_eos", "stops"), [(False, {IM_END, 7}), (True, set())])
def test_a_prompt_may_have_stop_tokens_of_its_own(ignore_eos: bool, stops: set[int]) -> None:
    wire = request(ignore_eos=ignore_eos)
    prompt = EncodedPrompt((1,), stop_token_ids=frozenset({7}))
    prepared = PreparedRequest(resolve(wire, model_info()), prompt, StopStrings(()), 1, None, 0)
    assert prepared.to_engine_request().stop_token_ids == stops


def test_a_stop_string_cancels_the_engine_request() -> None:
    events, stage = run(request(stop=["END"]), b"so ENDless")
    assert text_of(events) == "so "
    assert finished(events).reasons == (FinishReason.STOP,)
    assert finished(events).completion_tokens == len("so END")
    assert finished(events).stop_strings == ("END",)
    assert stage.engine.cancelled == [stage.engine.submitted[0].id]
    assert stage.outcome("ok") == 1


def test_a_stop_string_waits_for_min_tokens() -> None:
    events, _ = run(request(stop=["b"], min_tokens=4), b"abababab")
    assert text_of(events) == "ababa"


def test_text_held_back_for_a_stop_string_comes_at_the_end() -> None:
    events, _ = run(request(stop=["END"], max_tokens=4), b"x EN", end=Finish.LENGTH)
    assert text_of(events) == "x EN"
    assert finished(events).reasons == (FinishReason.LENGTH,)
    assert finished(events).stop_strings == (None,)


def test_a_stopped_choice_waits_for_the_others() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            prepared = await prepare(stage.model, request(n=2, stop=["."]))
            with accept(stage.model, prepared) as generation:
                request_id = stage.engine.submitted[0].id
                stage.deliver(
                    Admitted(request_id, 0), *token_events(request_id, b"a. dropped", choice=0)
                )
                stage.deliver(*token_events(request_id, b"bb", choice=1, end=Finish.STOP))
                events = await stage.all_events(generation)
                assert (text_of(events, 0), text_of(events, 1)) == ("a", "bb")
                assert finished(events).completion_tokens == 2 + 3
                assert finished(events).stop_strings == (".", None)
            assert stage.engine.cancelled == [request_id]

    asyncio.run(scenario())


def test_characters_are_sent_complete() -> None:
    events, _ = run(request(), "é🙂".encode(), end=Finish.STOP)
    assert [(e.text, e.tokens) for e in events if isinstance(e, Text)] == [("é", 2), ("🙂", 4)]


def test_thinking_is_separated_and_counted() -> None:
    info = model_info(capabilities=("completion", "thinking"))
    events, _ = run(chat(), b"<think>\nhm\n</think>\n\nyes", end=Finish.STOP, info=info)
    assert "".join(e.text for e in events if isinstance(e, Thinking)) == "hm"
    assert text_of(events) == "yes"
    assert finished(events).reasoning_tokens == len(">\nhm\n</think>")


def test_tags_in_raw_completions_are_text() -> None:
    info = model_info(capabilities=("completion", "thinking", "tools"))
    events, _ = run(request(), b"<think>x</think>", end=Finish.STOP, info=info)
    assert text_of(events) == "<think>x</think>"


def test_calls_have_indices_and_unique_ids() -> None:
    call = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    tools = [{"type": "function", "function": {"name": "f"}}]
    events, _ = run(chat(tools=tools), f"{call}\n{call}".encode(), end=Finish.STOP)
    calls = [event for event in events if isinstance(event, ToolCall)]
    assert [call.index for call in calls] == [0, 1]
    assert calls[0].id != calls[1].id
    assert finished(events).reasons == (FinishReason.TOOL_CALLS,)


def test_a_truncated_call_finishes_with_length() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    events, _ = run(chat(tools=tools), b'<tool_call>{"name": "f", "argu', end=Finish.LENGTH)
    assert text_of(events) == '<tool_call>{"name": "f", "argu'
    assert finished(events).reasons == (FinishReason.LENGTH,)


def test_logprobs_have_the_bytes_of_tokens() -> None:
    async def scenario() -> list[Event]:
        async with scene() as stage:
            prepared = await prepare(stage.model, request(logprobs=1))
            with accept(stage.model, prepared) as generation:
                request_id = stage.engine.submitted[0].id
                first, second = "é".encode()
                logprobs = Logprobs(-0.5, ((first, -0.5), (IM_END, -1.5)))
                stage.deliver(
                    Admitted(request_id, 0),
                    Token(request_id, 0, first, 1, None, logprobs),
                    Token(request_id, 0, second, 2, Finish.LENGTH, logprobs),
                )
                return await stage.all_events(generation)

    (text,) = [event for event in asyncio.run(scenario()) if isinstance(event, Text)]
    assert text.text == "é"
    assert [entry.bytes for entry in text.logprobs] == [(0xC3,), (0xA9,)]
    assert text.logprobs[0].top[1].token == "<|im_end|>"


def test_context_is_prompt_and_output() -> None:
    events, _ = run(request("hi", return_context=True), b"yo", end=Finish.STOP)
    assert finished(events).context == (*b"hi", *b"yo", IM_END)


def test_out_of_range_prompt_tokens_do_not_reach_the_engine() -> None:
    async def scenario() -> None:
        async with scene(model_info(vocab_size=100)) as stage:
            assert await prepare(stage.model, request("abc"))
            with pytest.raises(InvalidRequestError, match="token id 122"):
                await prepare(stage.model, request("abz"))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("rejection", "error"),
    [
        (QueueFullError("full"), BusyError),
        (EngineDeadError("dead"), NotReadyError),
        (RequestTooLargeError("large"), ContextLengthError),
        (TooManyChoicesError("many"), InvalidRequestError),
    ],
)
def test_engine_rejections_become_inference_errors(
    rejection: Exception, error: type[InferenceError]
) -> None:
    async def scenario() -> None:
        async with scene() as stage:
            stage.engine.rejection = rejection
            prepared = await prepare(stage.model, request())
            with pytest.raises(error), accept(stage.model, prepared):
                pytest.fail("the request was accepted")
            assert stage.engine.cancelled == []

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", [Cancelled, Failed])
def test_an_unexpected_end_is_a_failure(kind: type[Cancelled] | type[Failed]) -> None:
    async def scenario() -> list[Event]:
        async with scene() as stage:
            with accept(stage.model, await prepare(stage.model, request())) as generation:
                request_id = stage.engine.submitted[0].id
                end = Cancelled(request_id, 1) if kind is Cancelled else Failed(request_id, "x", 1)
                stage.deliver(Admitted(request_id, 0), *token_events(request_id, b"ab"), end)
                events = await stage.all_events(generation)
            assert stage.engine.cancelled == []
            assert stage.outcome("internal") == 1
            return events

    events = asyncio.run(scenario())
    assert text_of(events) == "ab"
    assert isinstance(events[-1], wire.Failed)
    assert events[-1].code is ErrorCode.INTERNAL


def test_a_step_without_text_sends_an_empty_event() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            wire_request = chat(tools=[{"type": "function", "function": {"name": "f"}}])
            with accept(stage.model, await prepare(stage.model, wire_request)) as generation:
                request_id = stage.engine.submitted[0].id
                batches = generation.events()
                seen = []
                for event in (
                    Admitted(request_id, at_ns=900),
                    *token_events(request_id, b"<tool_call>"),
                ):
                    stage.deliver(event)
                    seen.append(await anext(batches))
            assert isinstance(seen[0][0], Started)
            assert seen[1:] == [(Text(text="", tokens=0),)] * len("<tool_call>")

    asyncio.run(scenario())


def test_leaving_early_cancels_and_is_counted() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            with accept(stage.model, await prepare(stage.model, request())):
                pass
            assert stage.engine.cancelled == [stage.engine.submitted[0].id]
            assert stage.outcome("cancelled") == 1

    asyncio.run(scenario())


def test_a_drain_deadline_between_steps_cancels_the_engine_request() -> None:
    """The last event of a choice is read in the same batch as the interruption."""

    async def scenario() -> None:
        async with scene() as stage:
            prepared = await prepare(stage.model, request(stop=["b"]))
            with accept(stage.model, prepared) as generation:
                request_id = stage.engine.submitted[0].id
                stage.deliver(Admitted(request_id, 0), *token_events(request_id, b"ab"))
                await asyncio.sleep(0)
                stage.model.drain.expire()
                assert finished(await stage.all_events(generation))
            assert stage.engine.cancelled == [request_id]

    asyncio.run(scenario())


def test_a_draining_process_rejects_requests() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            prepared = await prepare(stage.model, request())
            stage.model.drain.begin()
            with pytest.raises(DrainingError), accept(stage.model, prepared):
                pytest.fail("the request was accepted")
            assert stage.engine.submitted == []

    asyncio.run(scenario())


def test_one_line_is_logged_without_the_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="sizeup_inference.requests.generation"):
        run(request("secret"), b"answer", end=Finish.STOP)
    (record,) = [r for r in caplog.records if r.getMessage() == "request.finished"]
    fields = json.dumps(vars(record), default=str)
    assert "secret" not in fields
    assert "answer" not in fields
    assert vars(record)["completion_tokens"] == 7
    assert vars(record)["outcome"] == "ok"


def test_a_constraint_that_fails_is_the_requests_fault() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            with accept(stage.model, await prepare(stage.model, request())) as generation:
                (submitted,) = stage.engine.submitted
                stage.deliver(Failed(submitted.id, "too complex", 0, is_invalid=True))
                (failed,) = await stage.all_events(generation)
            assert isinstance(failed, wire.Failed)
            assert failed.code is ErrorCode.INVALID_REQUEST

    asyncio.run(scenario())
