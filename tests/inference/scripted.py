"""Generations over an engine whose events a test scripts."""

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
from sizeup_inference.requests.generation import Generation, accept, prepare
from sizeup_inference.requests.keep_alive import KeepAlive
from sizeup_inference.requests.mailbox import Mailboxes
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.requests.vectors import EmbeddingConfig
from sizeup_inference.requests.worker_thread import WorkerThread
from sizeup_inference.text.grammar import GrammarCompiler
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.places import Places
from sizeup_wire.events import Event, Finished, Text
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import ModelInfo


class ScriptedEngine:
    """Records commands; the test delivers the events."""

    def __init__(self) -> None:
        self.submitted: list[EngineRequest] = []
        self.cancelled: list[str] = []
        self.rejection: Exception | None = None

    def submit(self, request: EngineRequest) -> None:
        if self.rejection is not None:
            raise self.rejection
        self.submitted.append(request)

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)

    def stats(self) -> EngineStats:
        return EngineStats(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0)

    def is_alive(self) -> bool:
        return True

    def close(self, timeout_seconds: float) -> None:
        """Nothing to close."""


class Scene:
    """A served model with a scripted engine."""

    def __init__(
        self, engine: ScriptedEngine, model: ServedModel, registry: CollectorRegistry
    ) -> None:
        self.engine = engine
        self.model = model
        self.registry = registry

    def outcome(self, name: str) -> float:
        labels = {"model": "fake", "outcome": name}
        return self.registry.get_sample_value("sizeup_inference_requests_total", labels) or 0.0

    def deliver(self, *events: EngineEvent) -> None:
        self.model.mailboxes.deliver(events)

    async def all_events(self, generation: Generation) -> list[Event]:
        return [event async for batch in generation.events() for event in batch]


@contextlib.asynccontextmanager
async def scene(
    info: ModelInfo = INFO, grammars: GrammarCompiler | None = None
) -> AsyncIterator[Scene]:
    registry = CollectorRegistry()
    engine = ScriptedEngine()
    typed: EngineClient = engine
    tokenizer_thread = WorkerThread("tokenizer", 4)
    grammar_thread = WorkerThread("grammar", 4)
    mailboxes = Mailboxes(asyncio.get_running_loop())
    metrics = InferenceMetrics(registry, info.id)
    model = ServedModel(
        typed,
        info,
        ByteTokenizer(),
        EmbeddingConfig(),
        mailboxes,
        tokenizer_thread,
        grammars,
        grammar_thread,
        Drain(),
        metrics,
        KeepAlive(None, 0.0),
        Places(1000),
    )
    try:
        yield Scene(engine, model, registry)
    finally:
        tokenizer_thread.close()
        grammar_thread.close()
        assert len(mailboxes) == 0


def request(prompt: str = "hi", **fields: Any) -> GenerateRequest:
    return GenerateRequest.model_validate({"prompt": {"kind": "text", "text": prompt}} | fields)


def chat(**fields: Any) -> GenerateRequest:
    prompt = {"kind": "chat", "messages": [{"role": "user", "content": "hi"}]}
    return GenerateRequest.model_validate({"prompt": prompt | fields})


def token_events(
    request_id: str,
    text: bytes,
    *,
    choice: int = 0,
    end: Finish | None = None,
    start_ns: int = 1000,
) -> list[EngineEvent]:
    """Return a token per byte, 10 ns apart; the last, or an added EOS token, finishes by `end`."""
    ids = [*text, IM_END] if end is Finish.STOP else [*text]
    return [
        Token(request_id, choice, token_id, start_ns + 10 * i, end if i == len(ids) - 1 else None)
        for i, token_id in enumerate(ids)
    ]


async def generate(
    wire_request: GenerateRequest, *texts: bytes, end: Finish | None = None, info: ModelInfo = INFO
) -> tuple[list[Event], Scene]:
    """Run a request to its end; each choice outputs one text."""
    async with scene(info) as stage:
        with accept(stage.model, await prepare(stage.model, wire_request)) as generation:
            request_id = stage.engine.submitted[0].id
            stage.deliver(Admitted(request_id, at_ns=900))
            for choice, text in enumerate(texts):
                stage.deliver(*token_events(request_id, text, choice=choice, end=end))
            events = await stage.all_events(generation)
        return events, stage


def run(
    wire_request: GenerateRequest, *texts: bytes, end: Finish | None = None, info: ModelInfo = INFO
) -> tuple[list[Event], Scene]:
    return asyncio.run(generate(wire_request, *texts, end=end, info=info))


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def text_of(events: list[Event], choice: int = 0) -> str:
    return "".join(e.text for e in events if isinstance(e, Text) and e.choice == choice)
