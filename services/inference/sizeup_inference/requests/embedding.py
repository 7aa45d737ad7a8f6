"""`POST embed`: one engine request per prompt, a few at a time."""

import asyncio
import functools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sizeup_inference.engine import protocol as engine_events
from sizeup_inference.engine.protocol import EngineRequest, SamplingParams
from sizeup_inference.errors import DrainingError, RequestFailedError
from sizeup_inference.requests.generation import ServedModel, submit
from sizeup_inference.requests.mailbox import Interrupted
from sizeup_inference.requests.resolve import (
    ModelPrompt,
    check_prompt_ids,
    resolve_prompt,
)
from sizeup_inference.requests.truncation import encode_some, encode_to_fit
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.errors import ErrorCode
from sizeup_wire.model import EmbedRequest, EmbedResponse

_AT_ONCE = 8
"""Prompts of one request in the engine together: enough to fill a step, too few to fill the
waiting queue that chats share."""


@dataclass(frozen=True, slots=True)
class _Embedding:
    vector: tuple[float, ...]
    prompt_tokens: int


async def embed(model: ServedModel, request: EmbedRequest) -> EmbedResponse:
    """Embed every prompt or raise InferenceError; nothing stays in the engine either way."""
    prompts = [resolve_prompt(prompt, model.info) for prompt in request.prompts]
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(prompt: ModelPrompt) -> _Embedding:
        async with places:
            return await _embed(model, prompt, truncate=request.truncate)

    made = await _all([asyncio.create_task(one(prompt)) for prompt in prompts])
    return EmbedResponse(
        embeddings=tuple(embedding.vector for embedding in made),
        prompt_tokens=sum(embedding.prompt_tokens for embedding in made),
    )


async def _all(tasks: Sequence[asyncio.Task[_Embedding]]) -> list[_Embedding]:
    """Wait for all; the first failure, or being cancelled, ends the others."""
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _embed(model: ServedModel, prompt: ModelPrompt, *, truncate: bool) -> _Embedding:
    limit = model.info.context_length - 1

    def job() -> EncodedPrompt:
        if truncate:  # an embedding is of the beginning of a text, as Ollama cuts it
            encoded = EncodedPrompt(encode_some(model.tokenizer, prompt).token_ids[:limit])
        else:
            encoded = encode_to_fit(model.tokenizer, prompt, limit, truncate=False)
        check_prompt_ids(encoded.token_ids, model.info)
        return encoded

    ids = (await model.tokenizing.run(job)).token_ids
    return _Embedding(await _vector(model, ids), len(ids))


async def _vector(model: ServedModel, ids: tuple[int, ...]) -> tuple[float, ...]:
    if model.drain.draining:
        raise DrainingError("the process is shutting down")
    request_id = uuid.uuid4().hex
    cancel = functools.partial(model.engine.cancel, request_id)
    with model.mailboxes.open(request_id, choices=1, on_overflow=cancel) as box:
        submit(model.engine, EngineRequest(request_id, ids, SamplingParams(), 1, embed=True))
        end = functools.partial(
            box.interrupt, ErrorCode.DRAINING, "the process shut down before the answer was whole"
        )
        try:
            with model.drain.guard(end):
                while True:
                    for event in await box.take_while(model.engine.is_alive):
                        match event:
                            case engine_events.Embedded():
                                return event.vector
                            case Interrupted():
                                raise RequestFailedError(event.code, event.message)
                            case engine_events.Failed():
                                raise RequestFailedError(ErrorCode.INTERNAL, event.message)
        finally:
            cancel()
