"""The internal HTTP API over real sockets."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from inference.serving import (
    DEADLINE_SECONDS,
    chat_prompt,
    fake_load,
    read_stream,
    running,
    served,
    text_prompt,
    until,
)
from sizeup_inference.app import Composition
from sizeup_inference.engine.protocol import Deliver, EngineRequest
from sizeup_inference.fake.engine import FakeEngine, FakeLimits, echo
from sizeup_inference.fake.model import IM_END, ByteTokenizer
from sizeup_inference.settings import Settings
from sizeup_inference.startup.loaded_model import Progress, RunningModel
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_telemetry.drain import Drain
from sizeup_wire import routes
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    Text,
    ToolCall,
)
from sizeup_wire.model import ModelInfo, Stats, TokenizeResponse

NO_TEXT = Text(text="", tokens=0)


def output(text: str) -> Any:
    """Return a script that outputs a text and stops."""

    def script(_request: EngineRequest, _choice: int) -> Iterator[int]:
        return chain(text.encode(), repeat(IM_END))

    return script


def test_health_is_served_while_the_model_loads() -> None:
    proceed = threading.Event()
    engines: list[FakeEngine] = []

    def load(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
        progress("weights", 0.25)
        proceed.wait(DEADLINE_SECONDS)
        return fake_load(FakeLimits(), echo, engines)(settings, deliver, progress)

    async def scenario() -> None:
        settings = Settings(model="fake", engine="fake")
        composition = Composition(settings, Drain(), CollectorRegistry(), lambda: None, load)
        async with served(composition, engines, []) as process:
            assert (await process.get(routes.LIVEZ))[0] == 200
            loading = {"state": "loading", "stage": "weights", "progress": 0.25}
            await process.until_readyz(503, loading)
            for path in (routes.GENERATE, routes.EMBEDDINGS, routes.TOKENIZE):
                status, failure = await process.post(path, {})
                assert (status, failure["code"]) == (503, ErrorCode.NOT_READY)
            status, described = await process.get(routes.MODEL)
            assert (status, described["id"], described["load_ns"]) == (200, "fake", 0)
            assert (await process.get(routes.STATS))[0] == 503
            proceed.set()
            await process.until_readyz(200, {"state": "ready"})
            status, loaded = await process.get(routes.MODEL)
            assert loaded.pop("load_ns") > described.pop("load_ns")
            assert (status, loaded) == (200, described)
            assert process.sample("model_load_duration_seconds") > 0

    asyncio.run(scenario())


def test_a_model_that_cannot_be_loaded_ends_the_process() -> None:
    def load(_settings: Settings, _deliver: Deliver, _progress: Progress) -> Any:
        raise OSError("no such weights")

    async def scenario() -> None:
        fatal: list[str] = []
        settings = Settings(model="fake", engine="fake")
        composition = Composition(
            settings, Drain(), CollectorRegistry(), lambda: fatal.append("fatal"), load
        )
        async with served(composition, [], fatal) as process:
            await until(lambda: process.fatal == ["fatal"])
            process.drain.begin()  # as on the signal that ends the process
            failed = {"state": "failed", "stage": "no such weights", "progress": 0.0}
            assert await process.get(routes.READYZ) == (503, failed)

    asyncio.run(scenario())


def test_a_model_whose_files_do_not_tell_is_described_once_loaded() -> None:
    proceed = threading.Event()
    engines: list[FakeEngine] = []

    def load(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
        proceed.wait(DEADLINE_SECONDS)
        return fake_load(FakeLimits(), echo, engines)(settings, deliver, progress)

    async def scenario() -> None:
        settings = Settings(model="fake", engine="transformers")
        composition = Composition(settings, Drain(), CollectorRegistry(), lambda: None, load)
        async with served(composition, engines, []) as process:
            for path in (routes.MODEL, routes.MODEL_DETAILS):
                assert (await process.get(path))[0] == 503
            proceed.set()
            await process.until_readyz(200, {"state": "ready"})
            assert (await process.get(routes.MODEL))[0] == 200

    asyncio.run(scenario())


def test_details_are_arrays_in_lines() -> None:
    async def scenario() -> None:
        async with running() as process:
            url = process.url + routes.MODEL_DETAILS
            async with process.http.get(url) as response:
                assert response.status == 200
                assert await response.text() == "[]\n" * 4

    asyncio.run(scenario())


def test_liveness_is_served_while_a_long_prompt_is_encoded() -> None:
    """The tokenizer blocks, and health is still served."""
    hold, held = threading.Event(), threading.Event()

    class Held(ByteTokenizer):
        def encode_text(self, text: str) -> EncodedPrompt:
            held.set()
            hold.wait(DEADLINE_SECONDS)
            raise AssertionError("the queued job was cancelled with its client")

    def load(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
        running = fake_load(FakeLimits(), echo, engines)(settings, deliver, progress)
        return replace(running, tokenizer=Held())

    engines: list[FakeEngine] = []

    async def scenario() -> None:
        settings = Settings(model="fake", engine="fake")
        composition = Composition(settings, Drain(), CollectorRegistry(), lambda: None, load)
        async with served(composition, engines, []) as process:
            await process.until_readyz(200, {"state": "ready"})
            task = asyncio.create_task(read_stream(process))
            await until(held.is_set)
            for _ in range(20):
                assert (await process.get(routes.LIVEZ))[0] == 200
            task.cancel()
            await until(lambda: process.sample("requests_total", outcome="cancelled") == 1)
            hold.set()

    asyncio.run(scenario())


INVALID: list[tuple[object, str | None]] = [
    (b"", None),
    (b"{", None),
    (b"[]", None),
    ({"prompt": {"kind": "unknown"}}, "prompt"),
    ({"prompt": text_prompt("x"), "n": 99}, "n"),
    ({"prompt": text_prompt("x"), "sampling": {"top_p": 2}}, "sampling.top_p"),
    ({"prompt": text_prompt("")}, "prompt"),
    ({"prompt": {"kind": "tokens", "token_ids": [1, 999]}}, "prompt.token_ids"),
    ({"prompt": text_prompt("x"), "stop_token_ids": [-1]}, "stop_token_ids"),
    ({"prompt": text_prompt("x"), "sampling": {"logit_bias": {999: 1}}}, "sampling.logit_bias"),
    (b'{"prompt": ' + b"[" * 50_000, None),
]
"""Bodies of generate, and the field at fault."""


def test_an_invalid_request_is_rejected_with_its_field() -> None:
    async def scenario() -> None:
        async with running() as process:
            for body, param in INVALID:
                status, failure = await process.post(routes.GENERATE, body)
                assert (status, failure["code"]) == (400, ErrorCode.INVALID_REQUEST), body
                assert failure["message"]
                assert param is None or failure["param"] == param, body

    asyncio.run(scenario())


def test_a_body_above_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_inference.server.streaming.MAX_BODY_BYTES", 1000)

    async def scenario() -> tuple[int, Any]:
        async with running() as process:
            return await process.post(routes.GENERATE, b" " * 2000)

    assert asyncio.run(scenario())[0] == 413


def test_a_prompt_that_does_not_fit_is_rejected_with_the_numbers() -> None:
    async def scenario() -> tuple[tuple[int, Any], list[Event]]:
        async with running(max_model_len=20) as process:
            rejected = await process.post(routes.GENERATE, {"prompt": text_prompt("x" * 20)})
            return rejected, await process.generate(prompt=text_prompt("x" * 19))

    (status, failure), fitting = asyncio.run(scenario())
    assert status == 400
    assert failure["code"] == ErrorCode.CONTEXT_LENGTH_EXCEEDED
    assert "maximum context length is 20 tokens" in failure["message"]
    assert "resulted in 20 tokens" in failure["message"]
    assert isinstance(fitting[-1], Finished)
    assert fitting[-1].reasons == (FinishReason.LENGTH,)
    assert fitting[-1].completion_tokens == 1


def test_unsupported_features_are_rejected() -> None:
    async def scenario() -> tuple[int, Any]:
        async with running() as process:
            prompt = chat_prompt("x", thinking="on")
            return await process.post(routes.GENERATE, {"prompt": prompt})

    status, failure = asyncio.run(scenario())
    assert (status, failure["code"]) == (400, ErrorCode.UNSUPPORTED)


def test_tool_calls_are_separate_events() -> None:
    call = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    tool = {"type": "function", "function": {"name": "add"}}

    async def scenario() -> list[Event]:
        async with running(script=output(call)) as process:
            return await process.generate(prompt=chat_prompt("1+1", tools=[tool]))

    events = asyncio.run(scenario())
    # a call has no text until it is complete
    called, finished = (e for e in events if not isinstance(e, Started) and e != NO_TEXT)
    assert isinstance(called, ToolCall)
    assert (called.index, called.name, called.arguments) == (0, "add", {"a": 1})
    assert called.id.startswith("call_")
    assert isinstance(finished, Finished)
    assert finished.reasons == (FinishReason.TOOL_CALLS,)


def test_tokenize_encodes_like_generate() -> None:
    async def scenario() -> tuple[int, Any]:
        async with running() as process:
            return await process.post(routes.TOKENIZE, {"prompt": chat_prompt("<|im_end|>")})

    status, body = asyncio.run(scenario())
    answer = TokenizeResponse.model_validate(body)
    assert status == 200
    assert answer.token_ids.count(IM_END) == 1
    assert answer.rendered is not None
    assert answer.rendered.count("<|im_end|>") == 2


def test_model_stats_and_metrics_describe_the_process() -> None:
    async def scenario() -> None:
        async with running() as process:
            await process.generate(prompt=text_prompt("abc"))
            info = ModelInfo.model_validate((await process.get(routes.MODEL))[1])
            assert info.id == "fake"
            stats = Stats.model_validate((await process.get(routes.STATS))[1])
            assert (stats.prompt_tokens, stats.completion_tokens) == (3, 4)
            async with process.http.get(process.url + routes.METRICS) as response:
                exposition = await response.text()
            assert 'sizeup_inference_completion_tokens_total{model="fake"} 4.0' in exposition
            assert process.sample("time_to_first_token_seconds_count") == 1
            assert process.sample("inter_token_latency_seconds_count") == 3

    asyncio.run(scenario())


def test_metrics_with_a_port_of_their_own_are_on_no_other() -> None:
    async def scenario() -> None:
        async with running(metrics_port=9090) as process:
            status, body = await process.get(routes.METRICS)
            assert (status, body["code"]) == (404, ErrorCode.INVALID_REQUEST)
            assert (await process.get(routes.LIVEZ))[0] == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(("bound_to", "status"), [("127.0.0.1", 403), ("0.0.0.0", 200)])
def test_a_foreign_host_is_refused_on_a_loopback_address(bound_to: str, status: int) -> None:
    async def scenario() -> None:
        async with running(host=bound_to) as process:
            for path in (routes.MODEL, routes.READYZ, routes.METRICS):
                foreign = {"Host": "evil.example"}
                async with process.http.get(process.url + path, headers=foreign) as response:
                    assert response.status == status
                    if status == 403:
                        assert (await response.json())["code"] == ErrorCode.INVALID_REQUEST

    asyncio.run(scenario())


def test_every_error_has_the_same_shape() -> None:
    cases = [("GET", "/nothing", 404), ("GET", routes.GENERATE, 405), ("POST", routes.MODEL, 405)]

    async def scenario() -> None:
        async with running() as process:
            for method, path, status in cases:
                async with process.http.request(method, process.url + path) as response:
                    assert response.status == status
                    assert set(await response.json()) == {"code", "message", "param"}

    asyncio.run(scenario())


def test_the_fake_engine_uses_the_folders_tokenizer() -> None:
    toy = Path(__file__).parents[2] / "models" / "toy" / "toy-0.5m"

    async def scenario() -> list[Event]:
        settings = Settings(model=str(toy), engine="fake", fake_token_seconds=0)
        composition = Composition(settings, Drain(), CollectorRegistry(), lambda: None)
        async with served(composition, [], []) as process:
            await process.until_readyz(200, {"state": "ready"})
            return await process.generate(prompt=text_prompt("你好 twelve"))

    events = asyncio.run(scenario())
    assert "".join(event.text for event in events if isinstance(event, Text)) == "你好 twelve"
