"""`POST embed`: one engine request per prompt, a few at a time."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sizeup_inference.engine.protocol import Embedded, EngineRequest, Failed, SamplingParams
from sizeup_inference.errors import RequestFailedError
from sizeup_inference.requests.mailbox import Interrupted
from sizeup_inference.requests.resolve import ModelPrompt, check_token_ids, resolve_prompt
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.requests.truncation import encode_nonempty, encode_to_fit
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.errors import ErrorCode
from sizeup_wire.model import EmbedRequest, EmbedResponse

_MAX_CONCURRENT = 8
"""Prompts of one request in the engine at once: enough to fill a step, too few to fill the waiting
queue, which chats share."""


@dataclass(frozen=True, slots=True)
class _Embedding:
    vector: tuple[float, ...]
    prompt_tokens: int


async def embed(model: ServedModel, request: EmbedRequest) -> EmbedResponse:
    """Embed every prompt or raise InferenceError; either way no request stays in the engine."""
    prompts = [resolve_prompt(prompt, model.info) for prompt in request.prompts]
    semaphore = asyncio.Semaphore(_MAX_CONCURRENT)

    async def one(prompt: ModelPrompt) -> _Embedding:
        async with semaphore:
            return await _embed(model, prompt, truncate=request.truncate)

    results = await _gather([asyncio.create_task(one(prompt)) for prompt in prompts])
    return EmbedResponse(
        embeddings=tuple(result.vector for result in results),
        prompt_tokens=sum(result.prompt_tokens for result in results),
    )


async def _gather(tasks: Sequence[asyncio.Task[_Embedding]]) -> list[_Embedding]:
    """Wait for all; the first failure, or cancellation, cancels the others."""
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _embed(model: ServedModel, prompt: ModelPrompt, *, truncate: bool) -> _Embedding:
    limit = model.info.context_length - 1

    def encode() -> tuple[int, ...]:
        if truncate:  # to its beginning, as in Ollama
            encoded = EncodedPrompt(encode_nonempty(model.tokenizer, prompt).token_ids[:limit])
        else:
            encoded = encode_to_fit(model.tokenizer, prompt, limit, truncate=False)
        check_token_ids(encoded.token_ids, model.info, "prompt")
        return encoded.token_ids

    token_ids = await model.tokenizer_thread.run(encode)
    return _Embedding(await _vector(model, token_ids), len(token_ids))


async def _vector(model: ServedModel, token_ids: tuple[int, ...]) -> tuple[float, ...]:
    request = EngineRequest(uuid.uuid4().hex, token_ids, SamplingParams(), 1, embed=True)
    with model.submitted(request) as mailbox:
        while True:
            for event in await mailbox.take_while(model.engine.is_alive):
                match event:
                    case Embedded():
                        return event.vector
                    case Interrupted():
                        raise RequestFailedError(event.code, event.message)
                    case Failed():
                        raise RequestFailedError(ErrorCode.INTERNAL, event.message)
