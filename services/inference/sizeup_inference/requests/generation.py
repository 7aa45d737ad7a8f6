"""One request on the event loop: engine events in, wire events out."""

import asyncio
import contextlib
import functools
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sizeup_inference.engine.protocol import (
    Admitted,
    Constraint,
    Embedded,
    EngineRequest,
    PromptLogprobs,
    Token,
)
from sizeup_inference.errors import UnsupportedError
from sizeup_inference.requests.choice import Choice, TextRules
from sizeup_inference.requests.constraints import compile_constraint, is_constrained, reasoning_of
from sizeup_inference.requests.logprobs import PromptEcho
from sizeup_inference.requests.mailbox import Interrupted, Mailbox, MailboxEvent
from sizeup_inference.requests.request_record import RequestRecord
from sizeup_inference.requests.resolve import ResolvedRequest, check_token_ids, resolve
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.requests.truncation import encode_to_fit
from sizeup_inference.text.answer_parser import AnswerParser
from sizeup_inference.text.stop_strings import StopStrings
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Finished, FinishReason, PromptTokens, Started, Text
from sizeup_wire.generate import ChatPrompt, GenerateRequest

log = logging.getLogger(__name__)

_PROGRESS: Sequence[Event] = (Text(text="", tokens=0),)
"""Sent for steps whose tokens give no text yet, such as those of an incomplete tool call."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A resolved request with its encoded prompt."""

    resolved: ResolvedRequest
    prompt: EncodedPrompt
    stops: StopStrings
    max_tokens: int
    """Output tokens of each choice; 0 where none is requested."""
    constraint: Constraint | None
    arrived_ns: int

    @property
    def min_tokens(self) -> int:
        """A constraint decides alone where the output ends."""
        return 0 if self.constraint else self.resolved.wire.min_tokens

    def to_engine_request(self) -> EngineRequest:
        """Return it under a new id, because the client's X-Request-Id need not be unique.

        For max_tokens 0 the engine samples one token, at no cost beside the prefill; it is dropped.
        """
        wire = self.resolved.wire
        return EngineRequest(
            id=uuid.uuid4().hex,
            prompt_ids=self.prompt.token_ids,
            sampling=self.resolved.sampling,
            max_tokens=max(self.max_tokens, 1),
            min_tokens=self.min_tokens,
            stop_token_ids=self.resolved.stop_token_ids
            | (frozenset() if wire.ignore_eos else self.prompt.stop_token_ids),
            constraint=self.constraint,
            choices=wire.n if self.max_tokens else 1,
            prompt_logprobs=wire.logprobs if wire.echo else None,
            cache_salt=wire.cache_salt,
            client=wire.client or "",
        )


async def prepare(model: ServedModel, request: GenerateRequest) -> PreparedRequest:
    """Validate and encode a request; raise InferenceError for one that cannot be served."""
    arrived_ns = time.monotonic_ns()
    resolved = resolve(request, model.info)

    def encode() -> tuple[EncodedPrompt, StopStrings]:
        encoded = encode_to_fit(
            model.tokenizer,
            resolved.prompt,
            resolved.context_length - 1,
            truncate=request.truncate,
            num_keep=request.num_keep,
            room=resolved.room,
        )
        check_token_ids(encoded.token_ids, model.info, "prompt")
        return encoded, StopStrings(request.stop)

    try:
        prompt, stops = await model.tokenizer_thread.run(encode, request.client)
        constraint = await _constraint(model, resolved, prompt)
    except asyncio.CancelledError:  # the client disconnected, and no Generation will count it
        model.metrics.count("cancelled")
        raise
    max_tokens = resolved.max_tokens(len(prompt.token_ids))
    return PreparedRequest(resolved, prompt, stops, max_tokens, constraint, arrived_ns)


async def _constraint(
    model: ServedModel, resolved: ResolvedRequest, prompt: EncodedPrompt
) -> Constraint | None:
    if not is_constrained(resolved):
        return None
    if (grammars := model.grammars) is None:
        raise UnsupportedError("structured output is not supported", param="structured_output")
    reasoning = reasoning_of(resolved, model.info, prompt)
    with model.metrics.grammar_compilation.time():
        return await model.grammar_thread.run(
            lambda: compile_constraint(grammars, resolved, reasoning), resolved.wire.client
        )


@contextlib.contextmanager
def accept(model: ServedModel, prepared: PreparedRequest) -> Iterator["Generation"]:
    """Submit a request; its events can be read inside the block, after which it is cancelled.

    Raises DrainingError, or the InferenceError for which the engine rejects it.
    """
    model.check_not_draining()
    record = RequestRecord(model.metrics, prepared.arrived_ns)
    needs_engine = prepared.max_tokens or prepared.resolved.wants_prompt_logprobs
    submitted = (
        model.submitted(prepared.to_engine_request()) if needs_engine else contextlib.nullcontext()
    )
    with submitted as mailbox:
        generation = Generation(model, prepared, mailbox, record)
        try:
            yield generation
        finally:
            generation.record()


class Generation:
    """An accepted request."""

    def __init__(
        self,
        model: ServedModel,
        prepared: PreparedRequest,
        mailbox: Mailbox | None,
        record: RequestRecord,
    ) -> None:
        """`mailbox` is None for a request that does not need the engine."""
        self._model = model
        self._wire = prepared.resolved.wire
        self._prompt_ids = prepared.prompt.token_ids
        self._generates = prepared.max_tokens > 0
        self._mailbox = mailbox
        self._record = record
        self._echo = PromptEcho(
            model.tokenizer, self._prompt_ids, logprobs=prepared.resolved.wants_prompt_logprobs
        )
        rules = _text_rules(model, prepared)
        self._choices = [Choice(i, model.tokenizer, rules) for i in range(self._wire.n)]
        self._cached_tokens = 0
        self._draft_tokens = self._accepted_draft_tokens = 0
        self._outcome = "cancelled"

    async def events(self) -> AsyncIterator[Sequence[Event]]:
        """Yield the events of each step; the last one is `finished` or `failed`."""
        if self._mailbox is None:
            yield [*self._start(), self._finish_without_tokens()]
            return
        while True:
            batch: list[Event] = []
            empty = True
            for engine_event in await self._mailbox.take():
                for event in self._translate(engine_event):
                    batch.append(event)
                    empty = False
                    if isinstance(event, Finished | Failed):
                        yield batch
                        return
                    if isinstance(event, PromptTokens):
                        yield batch
                        batch = []
                        await asyncio.sleep(0)  # one step may have thousands: let others run
            if batch or empty:
                yield batch or _PROGRESS

    def record(self) -> None:
        """Count and log the ended request."""
        counts = {
            "reasons": [choice.reason for choice in self._choices],
            "prompt_tokens": len(self._prompt_ids),
            "cached_tokens": self._cached_tokens,
            "completion_tokens": self._completion_tokens(),
            "draft_tokens": self._draft_tokens,
            "accepted_draft_tokens": self._accepted_draft_tokens,
            "eval_ns": self._record.eval_ns,
        }
        log.info("request.finished", extra=self._record.finish(self._outcome, counts))

    def _translate(self, event: MailboxEvent) -> Iterable[Event]:
        match event:
            case Admitted():
                self._record.admitted(event.at_ns)
                self._cached_tokens = event.cached_tokens
                return self._start()
            case PromptLogprobs():
                return self._echo.feed(event.logprobs)
            case Token():
                return self._token(event)
            case Interrupted():
                return [self._failed(event.code, event.message)]
            case Embedded():  # unexpected
                return [self._failed(ErrorCode.INTERNAL, "the engine ended the request")]

    def _start(self) -> Sequence[Event]:
        queued_ns, prompt_tokens = self._record.queued_ns, len(self._prompt_ids)
        started = Started(queued_ns=queued_ns, load_ns=0, prompt_tokens=prompt_tokens)
        return [started, *self._echo.begin()] if self._wire.echo else [started]

    def _token(self, token: Token) -> Sequence[Event]:
        if not self._generates:
            self._record.prompt_evaluated(token.at_ns)
            return [self._finish_without_tokens()]
        choice = self._choices[token.choice]
        if choice.reason is not None:
            return []  # stopped by a stop string, while the engine still computes it
        self._record.token(token.choice, token.at_ns)
        self._draft_tokens += token.draft_tokens
        self._accepted_draft_tokens += token.accepted
        events: list[Event] = [*choice.feed(token)]
        if all(choice.reason is not None for choice in self._choices):
            self._outcome = "ok"
            events.append(self._finished())
        return events

    def _finish_without_tokens(self) -> Finished:
        self._outcome = "ok"
        for choice in self._choices:
            choice.reason = FinishReason.LENGTH
        return self._finished()

    def _finished(self) -> Finished:
        with_context = self._wire.return_context
        return Finished(
            reasons=tuple(choice.reason or FinishReason.CANCELLED for choice in self._choices),
            prompt_tokens=len(self._prompt_ids),
            cached_tokens=self._cached_tokens,
            completion_tokens=self._completion_tokens(),
            reasoning_tokens=sum(choice.reasoning_tokens for choice in self._choices),
            draft_tokens=self._draft_tokens,
            accepted_draft_tokens=self._accepted_draft_tokens,
            prompt_eval_ns=self._record.prompt_eval_ns,
            eval_ns=self._record.eval_ns,
            context=(*self._prompt_ids, *self._choices[0].token_ids) if with_context else None,
            stop_strings=tuple(choice.stop.match for choice in self._choices),
        )

    def _failed(self, code: ErrorCode, message: str) -> Failed:
        self._outcome = code.value
        return Failed(code=code, message=message)

    def _completion_tokens(self) -> int:
        return sum(len(choice.token_ids) for choice in self._choices)


def _text_rules(model: ServedModel, prepared: PreparedRequest) -> TextRules:
    resolved = prepared.resolved
    chat = resolved.prompt if isinstance(resolved.prompt, ChatPrompt) else None
    parser = functools.partial(
        AnswerParser,
        thinking=chat is not None and "thinking" in model.info.capabilities,
        is_thinking=chat is not None and prepared.prompt.is_thinking,
        tools=chat is not None and bool(chat.tools),
        streams_calls=resolved.wire.stream_tool_calls,
    )
    return TextRules(
        stops=prepared.stops,
        min_tokens=prepared.min_tokens,
        parser=parser,
        parallel_calls=resolved.wire.parallel_tool_calls,
        every_logprob=resolved.wants_prompt_logprobs,
    )
