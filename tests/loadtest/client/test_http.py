import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from itertools import count

import pytest

from loadtest.client.sending import one, received, request, send
from loadtest.fake_server import (
    CHUNKED,
    OLLAMA_ANSWER,
    STREAM,
    FakeServer,
    Kill,
    ReceivedRequest,
    delta,
    fake_server,
    line,
    openai_answer,
    openai_end,
    sse,
    status,
    stream_of,
)
from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.schema import Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Api, Outcome, Record, ServerTimes
from sizeup_loadtest.execution.sending.clock import Clock


def test_cached_tokens_are_read_from_the_usage() -> None:
    usage = {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    record = send(stream_of(*openai_answer(), sse({"choices": [], "usage": usage})))
    assert (record.prompt_tokens, record.cached_tokens) == (5, 4)


def test_tokens_are_counted_by_usage() -> None:
    record = send(stream_of(*openai_answer()))
    assert (record.outcome, record.error) == (Outcome.OK, "")
    assert (record.prompt_tokens, record.completion_tokens, record.counted_by) == (5, 3, "usage")
    assert record.text == "one two three"
    assert record.finish_reason == "stop"
    assert len(record.chunk_ns) == 3
    assert 0 <= record.sent_ns <= record.chunk_ns[0] <= record.chunk_ns[-1] <= record.ended_ns


def test_text_is_kept_on_request_only() -> None:
    assert send(stream_of(*openai_answer()), sent=request(keep_text=False)).text == ""


def test_a_role_is_not_a_token() -> None:
    record = send(stream_of(delta(role="assistant", content=""), *openai_answer()))
    assert len(record.chunk_ns) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "hm"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
    ],
)
def test_thinking_and_tool_calls_are_tokens(fields: dict[str, object]) -> None:
    record = send(stream_of(delta(**fields), *openai_answer()))
    assert len(record.chunk_ns) == 4
    assert record.text == "one two three"


def test_comments_unknown_fields_and_carriage_returns_are_ignored() -> None:
    data = b": ping\r\n\r\nevent: x\r\nid: 1\r\nretry: 3\r\n" + b"".join(openai_answer())
    record = send(stream_of(data.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r")))
    assert (record.outcome, record.text) == (Outcome.OK, "one two three")


def test_data_without_a_space_and_over_several_lines_is_one_event() -> None:
    event = b'data:{"choices": [{"delta":\ndata: {"content": "x"}}]}\n\n'
    assert send(stream_of(event, openai_end(1, 1))).text == "x"


def test_events_can_be_split_anywhere() -> None:
    data = b"".join(openai_answer(["山", "水"]))
    record = send(stream_of(*(data[i : i + 1] for i in range(len(data)))))
    assert (record.outcome, record.text, len(record.chunk_ns)) == (Outcome.OK, "山水", 2)


@pytest.mark.parametrize("api", ["openai", "ollama"])
def test_the_finish_reason_is_timestamped(api: Api) -> None:
    """Tokens without text, as after EOS with a fixed length, have no chunk."""

    async def run() -> Record:
        answers = {"openai": openai_answer(), "ollama": [*OLLAMA_ANSWER]}
        *fields, end = answers[api]
        ready = asyncio.Event()

        async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
            yield STREAM + b"".join(fields)
            await ready.wait()
            yield end

        asyncio.get_running_loop().call_later(0.05, ready.set)
        async with fake_server(chat=response, ollama=response) as fake:
            return await one(fake, api)

    record = asyncio.run(run())
    assert record.finished_ns is not None
    assert record.chunk_ns[-1] + 30_000_000 < record.finished_ns <= record.ended_ns


def test_a_chunk_can_hold_several_tokens() -> None:
    record = send(stream_of(delta(content="one two three four"), openai_end(1, 4)))
    assert (record.completion_tokens, len(record.chunk_ns)) == (4, 1)


def test_without_usage_chunks_are_counted() -> None:
    record = send(stream_of(delta(content="a"), delta(content="b"), b"data: [DONE]\n\n"))
    assert record.finished_ns is None
    assert (record.completion_tokens, record.counted_by) == (2, "chunks")
    assert record.prompt_tokens is None


def test_without_chunks_the_token_count_is_unknown() -> None:
    record = send(stream_of(b"data: [DONE]\n\n"))
    assert (record.outcome, record.completion_tokens, record.counted_by) == (Outcome.OK, None, None)


def test_bytes_are_timestamped_when_read() -> None:
    """A clock that counts its readings gives one timestamp to chunks received together."""
    ticks = count()

    async def run() -> Record:
        async with fake_server(chat=stream_of(b"".join(openai_answer()))) as fake:
            servers = {"m": Server(fake.url, "m")}
            async with Client(servers, Sampling(), lambda: next(ticks)) as client:
                return await client.send(request())

    record = asyncio.run(run())
    assert record.sent_ns == 0
    assert set(record.chunk_ns) == {record.chunk_ns[0]}


def test_further_parameters_are_merged() -> None:
    extra = {"options": {"num_ctx": 8192}, "top_p": 0.5}
    sent = received("ollama", extra_body=extra).body
    assert (sent["options"]["num_ctx"], sent["options"]["num_predict"]) == (8192, 16)
    assert received(extra_body=extra).body["top_p"] == 0.5


def test_the_openai_request() -> None:
    sent = received(sampling=Sampling(temperature=0.5, seed=3, think=False), key="k")
    assert sent.headers["authorization"] == "Bearer k"
    assert sent.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "你好"},
        ],
        "max_tokens": 16,
        "temperature": 0.5,
        "seed": 3,
        "stream": True,
        "stream_options": {"include_usage": True},
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_a_fixed_length_ignores_eos() -> None:
    body = received(sent=request("fixed")).body
    assert (body["ignore_eos"], body["min_tokens"], body["max_tokens"]) == (True, 16, 16)


def test_the_ollama_request() -> None:
    sent = received("ollama", sampling=Sampling(temperature=0.5, seed=3, think=True))
    assert sent.path == "/api/chat"
    assert sent.body["options"] == {"num_predict": 16, "temperature": 0.5, "seed": 3}
    assert sent.body["think"] is True
    assert sent.body["stream"] is True


def test_ollama_reports_its_durations() -> None:
    record = send(stream_of(*OLLAMA_ANSWER), "ollama")
    assert (record.outcome, record.text, record.api) == (Outcome.OK, "one two", "ollama")
    assert (record.prompt_tokens, record.completion_tokens, record.counted_by) == (7, 2, "usage")
    assert record.server == ServerTimes(400_000_000, 250_000_000, 30_000_000, 20_000_000)
    assert len(record.chunk_ns) == 2


def test_ollama_thinking_is_a_token_but_not_text() -> None:
    thinking = line({"message": {"content": "", "thinking": "hm"}, "done": False})
    record = send(stream_of(thinking, *OLLAMA_ANSWER), "ollama")
    assert (len(record.chunk_ns), record.text) == (3, "one two")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (429, Outcome.BUSY),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (307, Outcome.REFUSED),
        (500, Outcome.UNAVAILABLE),
        (503, Outcome.UNAVAILABLE),
    ],
)
def test_outcome_by_status(code: int, outcome: Outcome) -> None:
    record = send(status(code, {"error": {"message": "why"}}))
    assert (record.outcome, record.error) == (outcome, f"HTTP {code}: why")
    assert record.chunk_ns == ()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", {"detail": "x"}])
def test_an_error_body_can_be_plain_text(body: object) -> None:
    assert send(status(400, body)).outcome is Outcome.REFUSED


def test_long_error_messages_are_cut() -> None:
    assert len(send(status(400, {"error": "x" * 9999})).error) == 500


@pytest.mark.parametrize(
    ("api", "pieces"),
    [
        ("openai", (delta(content="a"), sse({"error": {"message": "oh"}}), b"data: [DONE]\n\n")),
        ("ollama", (OLLAMA_ANSWER[0], line({"error": "oh"}))),
    ],
)
def test_an_error_inside_the_stream_is_a_failure(api: Api, pieces: tuple[bytes, ...]) -> None:
    record = send(stream_of(*pieces), api)
    assert (record.outcome, record.error, len(record.chunk_ns)) == (Outcome.FAILED, "oh", 1)


@pytest.mark.parametrize(
    ("api", "data"), [("openai", b"data: {]\n\n"), ("ollama", OLLAMA_ANSWER[0] + b"{]\n")]
)
def test_invalid_json_is_a_failure(api: Api, data: bytes) -> None:
    record = send(stream_of(data), api)
    assert record.outcome is Outcome.FAILED
    assert "not a JSON object" in record.error


def test_the_words_of_a_prompt_are_counted() -> None:
    assert send(stream_of(*openai_answer())).prompt_words == 3


def test_a_connection_lost_inside_the_body_is_classified() -> None:
    async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
        data = delta(content="a")
        yield CHUNKED + f"{len(data):x}\r\n".encode() + data + b"\r\n"
        raise Kill

    assert send(response).outcome is Outcome.DISCONNECTED


def test_a_connection_closed_without_a_response_is_classified() -> None:
    async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
        raise Kill
        yield b""

    assert send(response).outcome is Outcome.DISCONNECTED


def test_a_refused_connection_is_classified() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        fake = FakeServer({}, url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        record = asyncio.run(one(fake))
    assert record.outcome is Outcome.DISCONNECTED
    assert record.error


def test_without_file_descriptors_the_client_is_to_blame() -> None:
    async def run() -> Record:
        server = Server("http://127.0.0.1:9", "m")
        async with Client({"m": server}, Sampling(), Clock()) as client:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            free = os.dup(0)  # the lowest number that is not taken
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                return await client.send(request())
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    record = asyncio.run(run())
    assert (record.outcome, record.error) == (Outcome.CLIENT, "Too many open files")


def test_a_silent_server_times_out() -> None:
    async def run() -> Record:
        over = asyncio.Event()

        async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
            yield STREAM + delta(content="a")
            await over.wait()

        async with fake_server(chat=response) as fake:
            try:
                return await one(fake, seconds=0.2)
            finally:
                over.set()

    record = asyncio.run(run())
    assert (record.outcome, len(record.chunk_ns)) == (Outcome.TIMEOUT, 1)


def test_unexpected_types_are_tolerated() -> None:
    odd = [{"choices": "x"}, {"choices": [None]}, {"choices": [{"delta": 3}]}, {"usage": []}]
    pieces = [*map(sse, odd), delta(content=["x"]), *openai_answer()]
    assert send(stream_of(*pieces)).outcome is Outcome.OK


def test_concurrency_is_unlimited() -> None:
    """aiohttp's own pool would hold the 101st back."""
    many = 150

    async def run() -> int:
        everyone = asyncio.Barrier(many)

        async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
            await everyone.wait()
            yield STREAM + b"".join(openai_answer())

        async with fake_server(chat=response) as fake:
            async with Client({"m": Server(fake.url, "m")}, Sampling(), Clock()) as client:
                records = await asyncio.gather(*(client.send(request()) for _ in range(many)))
            return sum(record.outcome is Outcome.OK for record in records)

    assert asyncio.run(run()) == many
