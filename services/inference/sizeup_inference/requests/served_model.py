"""A running model with everything its requests share."""

import contextlib
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sizeup_inference.engine.protocol import (
    EngineClient,
    EngineDeadError,
    EngineRequest,
    QueueFullError,
    RequestTooLargeError,
    TooManyChoicesError,
)
from sizeup_inference.errors import (
    BusyError,
    ContextLengthError,
    DrainingError,
    InvalidRequestError,
    NotReadyError,
)
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.keep_alive import KeepAlive
from sizeup_inference.requests.mailbox import Mailbox, Mailboxes
from sizeup_inference.requests.vectors import EmbeddingConfig
from sizeup_inference.requests.worker_thread import WorkerThread
from sizeup_inference.text.grammar import GrammarCompiler
from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.places import FullError, Places
from sizeup_wire.errors import ErrorCode
from sizeup_wire.model import ModelInfo


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Belongs to the event loop."""

    engine: EngineClient
    info: ModelInfo
    tokenizer: Tokenizer
    embedding: EmbeddingConfig
    mailboxes: Mailboxes
    tokenizer_thread: WorkerThread
    grammars: GrammarCompiler | None
    """Used on the grammar thread only."""
    grammar_thread: WorkerThread
    drain: Drain
    metrics: InferenceMetrics
    keep_alive: KeepAlive
    places: Places
    """Of requests, from before their prompts are encoded."""

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the model from expiring inside the block."""
        self.keep_alive.begin_request()
        try:
            yield
        finally:
            self.keep_alive.end_request(time.time())

    @contextlib.contextmanager
    def holding_places(self, client: str | None, choices: int) -> Iterator[None]:
        """Hold a place for each choice, or raise BusyError before any work is done."""
        try:
            with self.places.held(client or "", choices):
                yield
        except FullError:
            message = f"queue full: capacity {self.places.capacity} sequences"
            raise BusyError(message) from None

    @contextlib.contextmanager
    def submitted(self, request: EngineRequest) -> Iterator[Mailbox]:
        """Submit a request and receive its events inside the block; afterwards it is cancelled.

        Raises the InferenceError for which the engine rejects it.
        """
        cancel = functools.partial(self.engine.cancel, request.id)
        with self.mailboxes.open(request.id, choices=request.choices, on_overflow=cancel) as box:
            self._submit(request)
            interrupt = functools.partial(
                box.interrupt, ErrorCode.DRAINING, "the process shut down before the output ended"
            )
            try:
                with self.drain.guard(interrupt):
                    yield box
            finally:
                if not box.is_finished:
                    cancel()

    def check_not_draining(self) -> None:
        """Raise DrainingError once the process is shutting down."""
        if self.drain.draining:
            raise DrainingError("the process is shutting down")

    def _submit(self, request: EngineRequest) -> None:
        try:
            self.engine.submit(request)
        except QueueFullError as error:
            raise BusyError(str(error)) from error
        except EngineDeadError as error:
            raise NotReadyError(str(error)) from error
        except RequestTooLargeError as error:
            raise ContextLengthError(str(error), param="max_tokens") from error
        except TooManyChoicesError as error:
            raise InvalidRequestError(str(error), param="n") from error
