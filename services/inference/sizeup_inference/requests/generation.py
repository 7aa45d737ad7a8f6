"""One request's life on the event loop, from the wire request to its last event."""

import asyncio
import contextlib
import functools
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sizeup_inference.engine import protocol as engine_events
from sizeup_inference.engine.protocol import (
    Admitted,
    EngineClient,
    EngineRequest,
    PromptLogprobs,
    Token,
)
from sizeup_inference.errors import (
    BusyError,
    ContextLengthError,
    DrainingError,
    InvalidRequestError,
    NotReadyError,
)
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.choice import Choice, ChoiceEvent, TextRules
from sizeup_inference.requests.keep_alive import Residence
from sizeup_inference.requests.mailbox import Interrupted, Mailbox, Mailboxes, MailboxEvent
from sizeup_inference.requests.prompt_echo import PromptEcho
from sizeup_inference.requests.resolve import (
    ModelPrompt,
    answer_tokens,
    check_prompt_ids,
    check_token_parameters,
    context_of,
    resolve_prompt,
    to_engine_request,
)
from sizeup_inference.requests.tokenizer_thread import TokenizingThread
from sizeup_inference.requests.truncation import encode_to_fit
from sizeup_inference.text.stop_strings import StopStrings
from sizeup_inference.text.tokenizer import EncodedPrompt, Tokenizer
from sizeup_telemetry.drain import Drain
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Finished, FinishReason, PromptTokens, Started, Text
from sizeup_wire.generate import ChatPrompt, GenerateRequest
from sizeup_wire.model import ModelInfo

log = logging.getLogger(__name__)

_SILENCE: Sequence[Event] = (Text(text="", tokens=0),)
"""Says that tokens come, though none shows yet: a tool call is silent until it is whole."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A running model and everything requests to it go through."""

    engine: EngineClient
    info: ModelInfo
    tokenizer: Tokenizer
    mailboxes: Mailboxes
    tokenizing: TokenizingThread
    drain: Drain
    metrics: InferenceMetrics
    residence: Residence

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the model from expiring inside the block; its end starts the clock."""
        self.residence.begin()
        try:
            yield
        finally:
            self.residence.end(time.time())


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is valid and fits."""

    wire: GenerateRequest
    kind: ModelPrompt
    prompt: EncodedPrompt
    stops: StopStrings
    max_tokens: int
    arrived_ns: int

    @property
    def tells_prompt(self) -> bool:
        """Tell whether the prompt's log-probabilities are asked for."""
        return self.wire.echo and self.wire.logprobs is not None

    @property
    def engine_choices(self) -> int:
        """Choices the engine makes: none where it is asked nothing, one for the prompt alone."""
        return self.wire.n if self.max_tokens else int(self.tells_prompt)


async def prepare(model: ServedModel, request: GenerateRequest) -> Prepared:
    """Validate and encode a request; raise InferenceError for one that cannot be served."""
    arrived = time.monotonic_ns()
    asked = resolve_prompt(request.prompt, model.info)
    check_token_parameters(request, model.info)
    context = context_of(request, model.info)

    def encode() -> tuple[EncodedPrompt, StopStrings]:
        fitting = encode_to_fit(model.tokenizer, asked, context - 1, truncate=request.truncate)
        check_prompt_ids(fitting.token_ids, model.info)
        return fitting, StopStrings(request.stop)

    try:
        prompt, stops = await model.tokenizing.run(encode)
    except asyncio.CancelledError:  # the client hung up: nothing later will count it
        model.metrics.count("cancelled")
        raise
    max_tokens = answer_tokens(request, context, len(prompt.token_ids))
    return Prepared(request, asked, prompt, stops, max_tokens, arrived)


@contextlib.contextmanager
def accept(model: ServedModel, prepared: Prepared) -> Iterator["Generation"]:
    """Submit a request; inside the block its events can be read, after it nothing of it is left.

    Raises at once what the engine refuses it for, or DrainingError.
    """
    if model.drain.draining:
        raise DrainingError("the process is shutting down")
    request_id = uuid.uuid4().hex  # the caller's X-Request-Id need not be unique
    cancel = functools.partial(model.engine.cancel, request_id)
    with model.mailboxes.open(
        request_id, choices=prepared.engine_choices, on_overflow=cancel
    ) as box:
        generation = Generation(model, prepared, box)
        if prepared.engine_choices:
            submit(
                model.engine,
                to_engine_request(
                    request_id,
                    prepared.wire,
                    model.info,
                    prepared.prompt.token_ids,
                    prepared.max_tokens,
                ),
            )
        end = functools.partial(
            box.interrupt, ErrorCode.DRAINING, "the process shut down before the answer was whole"
        )
        try:
            with model.drain.guard(end):
                yield generation
        finally:
            if not generation.engine_is_done:
                cancel()
            generation.record()


def submit(engine: EngineClient, request: EngineRequest) -> None:
    """Submit, in this side's errors."""
    try:
        engine.submit(request)
    except engine_events.QueueFullError as error:
        raise BusyError(str(error)) from error
    except engine_events.EngineDeadError as error:
        raise NotReadyError(str(error)) from error
    except engine_events.RequestTooLargeError as error:
        raise ContextLengthError(str(error), param="max_tokens") from error
    except engine_events.TooManyChoicesError as error:
        raise InvalidRequestError(str(error), param="n") from error


class Generation:
    """An accepted request: engine events in, wire events out."""

    def __init__(self, model: ServedModel, prepared: Prepared, box: Mailbox) -> None:
        """Begin in the queue."""
        self._model = model
        self._prepared = prepared
        self._box = box
        chat = prepared.kind if isinstance(prepared.kind, ChatPrompt) else None
        rules = TextRules(
            stops=prepared.stops,
            min_tokens=prepared.wire.min_tokens,
            thinking=chat is not None and "thinking" in model.info.capabilities,
            is_thinking=chat is not None and prepared.prompt.is_thinking,
            tools=chat is not None and bool(chat.tools),
            every_logprob=prepared.tells_prompt,
        )
        self._echo = PromptEcho(
            model.tokenizer, prepared.prompt.token_ids, logprobs=prepared.tells_prompt
        )
        self._choices = [Choice(i, model.tokenizer, rules) for i in range(prepared.wire.n)]
        self._submitted_ns = time.monotonic_ns()
        self._admitted_ns = self._first_ns = self._last_ns = 0
        self._choice_ns: dict[int, int] = {}
        self._outcome = "cancelled"
        self._running = prepared.engine_choices
        """Choices the engine has not ended."""

    @property
    def engine_is_done(self) -> bool:
        """Tell whether the engine has ended the request by itself: nothing is left to cancel."""
        return self._running == 0

    async def events(self) -> AsyncIterator[Sequence[Event]]:
        """Yield what each step settles, or silence; the last event is `finished` or `failed`."""
        if not self._prepared.engine_choices:
            yield self._nothing_asked()
            return
        while True:
            batch: list[Event] = []
            silent = True
            for engine_event in await self._box.take_while(self._model.engine.is_alive):
                for event in self._translate(engine_event):
                    batch.append(event)
                    silent = False
                    if isinstance(event, Finished | Failed):
                        yield batch
                        return
                    if isinstance(event, PromptTokens):
                        yield batch
                        batch = []
                        await asyncio.sleep(0)  # a step tells of thousands: others have their turn
            if batch or silent:
                yield batch or _SILENCE

    def record(self) -> None:
        """Count and log the request, however it ended."""
        metrics, ended_ns = self._model.metrics, time.monotonic_ns()
        metrics.count(self._outcome)
        metrics.request_seconds.observe((ended_ns - self._prepared.arrived_ns) / 1e9)
        log.info(
            "request.finished",
            extra={
                "model": self._model.info.id,
                "outcome": self._outcome,
                "reasons": [choice.reason for choice in self._choices],
                "prompt_tokens": len(self._prepared.prompt.token_ids),
                "completion_tokens": self._completion_tokens(),
                "queued_ns": max(0, self._admitted_ns - self._submitted_ns),
                "prompt_eval_ns": max(0, self._first_ns - self._admitted_ns),
                "eval_ns": self._last_ns - self._first_ns,
                "total_ns": ended_ns - self._prepared.arrived_ns,
            },
        )

    def _translate(self, event: MailboxEvent) -> Iterable[Event]:
        match event:
            case Admitted():
                return [self._started(event), *self._said_at_once()]
            case PromptLogprobs():
                return self._echo.go_on(event.logprobs)
            case Token():
                return self._token(event)
            case Interrupted():
                return [self._failed(event.code, event.message)]
            case engine_events.Failed():
                self._running = 0
                return [self._failed(ErrorCode.INTERNAL, event.message)]
            case _:  # Cancelled or Embedded: nobody here asks for either
                self._running = 0
                return [self._failed(ErrorCode.INTERNAL, "the engine ended the request")]

    def _started(self, event: Admitted) -> Started:
        self._admitted_ns = event.at_ns
        return Started(
            queued_ns=max(0, event.at_ns - self._submitted_ns),
            load_ns=0,
            prompt_tokens=len(self._prepared.prompt.token_ids),
            cached_tokens=event.cached_tokens,
        )

    def _said_at_once(self) -> Iterable[PromptTokens]:
        return self._echo.begin() if self._prepared.wire.echo else ()

    def _token(self, token: Token) -> Sequence[Event]:
        self._running -= token.finish is not None
        if not self._prepared.max_tokens:  # the prompt has been told, which is all
            self._first_ns = self._last_ns = token.at_ns
            return [self._end_of_nothing()]
        choice = self._choices[token.choice]
        if choice.reason is not None:
            return []  # a stop string ended it here; the engine has yet to hear
        self._stamp(token)
        events: list[ChoiceEvent] = choice.feed(token)
        if any(choice.reason is None for choice in self._choices):
            return events
        self._outcome = "ok"
        return [*events, self._finished()]

    def _stamp(self, token: Token) -> None:
        if not self._first_ns:
            self._first_ns = token.at_ns
            waited = token.at_ns - self._prepared.arrived_ns
            self._model.metrics.time_to_first_token.observe(waited / 1e9)
        elif token.choice in self._choice_ns:
            gap = token.at_ns - self._choice_ns[token.choice]
            self._model.metrics.inter_token.observe(gap / 1e9)
        self._choice_ns[token.choice] = self._last_ns = token.at_ns

    def _nothing_asked(self) -> Sequence[Event]:
        started = Started(
            queued_ns=0, load_ns=0, prompt_tokens=len(self._prepared.prompt.token_ids)
        )
        return [started, *self._said_at_once(), self._end_of_nothing()]

    def _end_of_nothing(self) -> Finished:
        """End every choice before its first token."""
        self._outcome = "ok"
        for choice in self._choices:
            choice.reason = FinishReason.LENGTH
        return self._finished()

    def _finished(self) -> Finished:
        prompt_ids = self._prepared.prompt.token_ids
        with_context = self._prepared.wire.return_context
        return Finished(
            reasons=tuple(choice.reason or FinishReason.CANCELLED for choice in self._choices),
            prompt_tokens=len(prompt_ids),
            completion_tokens=self._completion_tokens(),
            reasoning_tokens=sum(choice.reasoning_tokens for choice in self._choices),
            prompt_eval_ns=self._first_ns - self._admitted_ns,
            eval_ns=self._last_ns - self._first_ns,
            context=(*prompt_ids, *self._choices[0].token_ids) if with_context else None,
        )

    def _failed(self, code: ErrorCode, message: str) -> Failed:
        self._outcome = code.value
        return Failed(code=code, message=message)

    def _completion_tokens(self) -> int:
        return sum(len(choice.token_ids) for choice in self._choices)
