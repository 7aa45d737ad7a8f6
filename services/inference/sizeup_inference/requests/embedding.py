"""`POST embeddings`: a batch of prompts, of which the engine has a few at a time."""

import logging
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from sizeup_inference.engine.protocol import Admitted, Embedded, EngineRequest, SamplingParams
from sizeup_inference.errors import BusyError, InferenceError, RequestFailedError
from sizeup_inference.requests.mailbox import Interrupted, Mailbox, MailboxEvent
from sizeup_inference.requests.request_record import RequestRecord
from sizeup_inference.requests.resolve import check_token_ids
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.requests.truncation import encode_to_embed
from sizeup_inference.requests.vectors import shorten, to_base64
from sizeup_wire.embeddings import Embedding, EmbedEvent, EmbedPrompt, EmbedRequest
from sizeup_wire.events import Failed, Finished, Started

log = logging.getLogger(__name__)

_MAX_TOKENS = 1024
"""Tokens of one batch in the engine: the step that it computes and the next. A prompt as long as
that is there alone, so that a chat waits for one prompt of each batch and not for many."""

_MAX_PROMPTS = 16
"""Prompts of one batch in the engine: 48 batches fill the waiting queue, which chats share."""


async def embed(model: ServedModel, request: EmbedRequest) -> AsyncGenerator[Sequence[EmbedEvent]]:
    """Yield `started`, an embedding for each prompt in order, and `finished`, some at a time.

    Raises InferenceError before the first event; afterwards an error is `failed`. Closing the
    generator cancels what the engine has of the batch.
    """
    model.check_not_draining()
    batch = _Batch(model, request)
    outcome: str | None = "cancelled"
    try:
        for index, prompt in enumerate(request.prompts):
            token_ids = await batch.encode(prompt)
            while not batch.submit(index, token_ids):
                yield await batch.next_events()
        while batch.in_engine:
            yield await batch.next_events()
        outcome = "ok"
        yield [batch.finished()]
    except InferenceError as error:
        outcome = error.code if batch.started else None  # else counted with its HTTP response
        if not batch.started:
            raise
        yield [Failed(code=error.code, message=error.message, param=error.param)]
    finally:
        batch.close()
        if outcome is not None:
            batch.record(outcome)


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A prompt that the engine has."""

    index: int
    prompt_tokens: int
    mailbox: Mailbox
    release: ExitStack
    """Cancels it, unless it has ended."""


class _Batch:
    def __init__(self, model: ServedModel, request: EmbedRequest) -> None:
        self.started = False
        """Whether the engine has admitted the first prompt."""
        self.in_engine: deque[_Submitted] = deque()
        """In the order of the prompts."""
        self._model = model
        self._request = request
        context = model.info.context_length
        self._limit = min(request.max_context or context, context)
        self._record = RequestRecord(model.metrics, time.monotonic_ns())
        self._prompt_tokens = self._cached_tokens = 0

    async def encode(self, prompt: EmbedPrompt) -> tuple[int, ...]:
        """Encode a prompt within the context; raises InferenceError."""
        model, truncate = self._model, self._request.truncate

        def encode() -> tuple[int, ...]:
            encoded = encode_to_embed(model.tokenizer, prompt, self._limit, truncate=truncate)
            check_token_ids(encoded.token_ids, model.info, "prompts")
            return encoded.token_ids

        return await model.tokenizer_thread.run(encode, self._request.client)

    def submit(self, index: int, token_ids: tuple[int, ...]) -> bool:
        """Submit a prompt; False where an earlier one has to end before.

        Raises InferenceError. A full queue is an error only if the engine has nothing of the batch.
        """
        tokens = sum(one.prompt_tokens for one in self.in_engine)
        if len(self.in_engine) >= _MAX_PROMPTS or tokens >= _MAX_TOKENS:
            return False
        try:
            self.in_engine.append(self._submit(index, token_ids))
        except BusyError:
            if not self.in_engine:
                raise
            return False
        return True

    def _submit(self, index: int, token_ids: tuple[int, ...]) -> _Submitted:
        request = EngineRequest(
            uuid.uuid4().hex,
            token_ids,
            SamplingParams(),
            max_tokens=1,
            embed=self._model.embedding.pooling,
            cache_salt=self._request.cache_salt,
            client=self._request.client or "",
        )
        with ExitStack() as stack:
            if self.in_engine:  # the first one has the place of the batch
                stack.enter_context(self._model.holding_places(request.client, 1))
            mailbox = stack.enter_context(self._model.submitted(request))
            return _Submitted(index, len(token_ids), mailbox, stack.pop_all())

    async def next_events(self) -> Sequence[EmbedEvent]:
        """Wait for the oldest prompt in the engine and return its events; raises InferenceError."""
        events: Sequence[EmbedEvent] = ()
        while not events:  # later admissions give none
            received = await self.in_engine[0].mailbox.take()
            events = [event for one in received for event in self._translate(one)]
        return events

    def _translate(self, event: MailboxEvent) -> Iterator[EmbedEvent]:
        match event:
            case Admitted():
                self._cached_tokens += event.cached_tokens
                if not self.started:
                    self.started = True
                    self._record.admitted(event.at_ns)
                    first, queued_ns = self.in_engine[0].prompt_tokens, self._record.queued_ns
                    yield Started(queued_ns=queued_ns, load_ns=0, prompt_tokens=first)
            case Embedded():
                yield self._embedding(event)
            case Interrupted():
                raise RequestFailedError(event.code, event.message)

    def _embedding(self, event: Embedded) -> Embedding:
        prompt = self.in_engine.popleft()
        prompt.release.close()
        self._record.prompt_evaluated(event.at_ns)
        self._prompt_tokens += prompt.prompt_tokens
        normalize = self._request.normalize or self._model.embedding.normalize
        vector = shorten(event.vector, self._request.dimensions, normalize=normalize)
        return Embedding(
            index=prompt.index, vector=to_base64(vector), prompt_tokens=prompt.prompt_tokens
        )

    def finished(self) -> Finished:
        return Finished(
            reasons=(),
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            completion_tokens=0,
            prompt_eval_ns=self._record.prompt_eval_ns,
            eval_ns=0,
        )

    def close(self) -> None:
        """Cancel what the engine has."""
        while self.in_engine:
            self.in_engine.popleft().release.close()

    def record(self, outcome: str) -> None:
        """Count and log the ended batch."""
        counts = {
            "prompts": len(self._request.prompts),
            "prompt_tokens": self._prompt_tokens,
            "cached_tokens": self._cached_tokens,
        }
        log.info("request.finished", extra=self._record.finish(outcome, counts))
