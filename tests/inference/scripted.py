"""A generation whose every engine event the test speaks itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from prometheus_client import CollectorRegistry

from inference.models import INFO
from sizeup_inference.engine.protocol import (
    Admitted,
    EngineClient,
    EngineEvent,
    EngineRequest,
    EngineStats,
    Finish,
    Token,
)
from sizeup_inference.fake.model import IM_END, ByteTokenizer
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.generation import Generation, ServedModel, accept, prepare
from sizeup_inference.requests.keep_alive import Residence
from sizeup_inference.requests.mailbox import Mailboxes
from sizeup_inference.requests.tokenizer_thread import TokenizingThread
from sizeup_telemetry.drain import Drain
from sizeup_wire.events import Event, Finished, Text
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import ModelInfo


class SpokenEngine:
    """Record commands; events are the test's."""

    def __init__(self) -> None:
        self.submitted: list[EngineRequest] = []
        self.cancelled: list[str] = []
        self.refusal: Exception | None = None

    def submit(self, request: EngineRequest) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.submitted.append(request)

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)

    def stats(self) -> EngineStats:
        return EngineStats(0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0)

    def is_alive(self) -> bool:
        return True

    def close(self, timeout_seconds: float) -> None:
        """Nothing runs."""


class Scene:
    """A served model, and the request under way."""

    def __init__(
        self, engine: SpokenEngine, model: ServedModel, registry: CollectorRegistry
    ) -> None:
        self.engine = engine
        self.model = model
        self.registry = registry

    def outcome(self, name: str) -> float:
        labels = {"model": "fake", "outcome": name}
        return self.registry.get_sample_value("sizeup_inference_requests_total", labels) or 0.0

    def speak(self, *events: EngineEvent) -> None:
        self.model.mailboxes.deliver(events)

    async def all_events(self, generation: Generation) -> list[Event]:
        return [event async for batch in generation.events() for event in batch]


@contextlib.asynccontextmanager
async def scene(info: ModelInfo = INFO) -> AsyncIterator[Scene]:
    registry = CollectorRegistry()
    engine = SpokenEngine()
    typed: EngineClient = engine
    tokenizing = TokenizingThread(4)
    mailboxes = Mailboxes(asyncio.get_running_loop())
    metrics = InferenceMetrics(registry, info.id)
    model = ServedModel(
        typed, info, ByteTokenizer(), mailboxes, tokenizing, Drain(), metrics, Residence(None, 0.0)
    )
    try:
        yield Scene(engine, model, registry)
    finally:
        tokenizing.close()
        assert len(mailboxes) == 0


def request(prompt: str = "hi", **fields: Any) -> GenerateRequest:
    return GenerateRequest.model_validate({"prompt": {"kind": "text", "text": prompt}} | fields)


def chat(**fields: Any) -> GenerateRequest:
    prompt = {"kind": "chat", "messages": [{"role": "user", "content": "hi"}]}
    return GenerateRequest.model_validate({"prompt": prompt | fields})


def said(
    request_id: str,
    text: bytes,
    *,
    choice: int = 0,
    end: Finish | None = None,
    start_ns: int = 1000,
) -> list[EngineEvent]:
    """Say one token per byte, 10 ns apart; `end` is the last one's, or the EOS token's."""
    ids = [*text, IM_END] if end is Finish.STOP else [*text]
    return [
        Token(request_id, choice, token_id, start_ns + 10 * i, end if i == len(ids) - 1 else None)
        for i, token_id in enumerate(ids)
    ]


async def answer(
    wire_request: GenerateRequest, *texts: bytes, end: Finish | None = None, info: ModelInfo = INFO
) -> tuple[list[Event], Scene]:
    """Run a request to its end, with one text per choice."""
    async with scene(info) as stage:
        with accept(stage.model, await prepare(stage.model, wire_request)) as generation:
            request_id = stage.engine.submitted[0].id
            stage.speak(Admitted(request_id, at_ns=900))
            for choice, text in enumerate(texts):
                stage.speak(*said(request_id, text, choice=choice, end=end))
            events = await stage.all_events(generation)
        return events, stage


def run(
    wire_request: GenerateRequest, *texts: bytes, end: Finish | None = None, info: ModelInfo = INFO
) -> tuple[list[Event], Scene]:
    return asyncio.run(answer(wire_request, *texts, end=end, info=info))


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def text_of(events: list[Event], choice: int = 0) -> str:
    return "".join(e.text for e in events if isinstance(e, Text) and e.choice == choice)
