"""What a comparison reports while it runs. Every update but the end belongs to one answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sizeup_gateway.comparison.agreement import Agreement
from sizeup_gateway.comparison.figures import AnswerFigures
from sizeup_gateway.errors import GatewayError
from sizeup_gateway.models.catalog import Model
from sizeup_wire.events import Finished, Started, Text, Thinking, ToolCall
from sizeup_wire.generate import GenerateRequest


class Status(StrEnum):
    """What an answer waits for; those of a model that is not ready are its `ModelState`."""

    WAITING = "waiting"
    """Answers are made one at a time, and others come first."""
    UNLOADED = "unloaded"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    FAILED = "failed"
    """A model that scales to zero has failed to start; Kubernetes tries again."""
    BUSY = "busy"
    """The queue of the model is full; tried again."""
    QUEUED = "queued"
    """Sent to a replica."""
    GENERATING = "generating"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a comparison: a model, and which of its samples."""

    model: Model
    name: str
    """The listed name of the model, or of the created one that it serves."""
    sample: int
    request: GenerateRequest


@dataclass(frozen=True, slots=True)
class Plan:
    id: str
    answers: Sequence[Answer]
    """Ascending by the size of the model, then by sample."""
    samples: int
    seed: int
    """Of sample 0; the next ones have the following numbers."""
    one_at_a_time: bool


@dataclass(frozen=True, slots=True)
class StatusChanged:
    answer: Answer
    status: Status
    progress: float | None = None
    """0 to 1, of a download or of loading."""


@dataclass(frozen=True, slots=True)
class Generating:
    answer: Answer
    started: Started


@dataclass(frozen=True, slots=True)
class Output:
    answer: Answer
    event: Text | Thinking | ToolCall


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer is complete, or was stopped: then `finished` is None."""

    answer: Answer
    text: str
    thinking: str
    figures: AnswerFigures
    finished: Finished | None
    said: str
    """Text and tool calls, to compare answers by."""


@dataclass(frozen=True, slots=True)
class FailedAnswer:
    answer: Answer
    text: str
    """What came before the error."""
    thinking: str
    error: GatewayError


@dataclass(frozen=True, slots=True)
class Begun:
    plan: Plan


@dataclass(frozen=True, slots=True)
class AllEnded:
    plan: Plan
    answered: int
    failed: int
    cancelled: int
    seconds: float
    agreement: Agreement | None


Update = Begun | StatusChanged | Generating | Output | Ended | FailedAnswer | AllEnded
