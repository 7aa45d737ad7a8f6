"""Updates of a comparison -> chunks and whole responses. Pure."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Protocol

from sizeup_gateway.comparison.agreement import Agreement
from sizeup_gateway.comparison.updates import (
    AllEnded,
    Answer,
    Begun,
    Ended,
    FailedAnswer,
    Generating,
    Output,
    Plan,
    Status,
    StatusChanged,
    Update,
)
from sizeup_gateway.errors import GatewayError
from sizeup_gateway.models.families import parameters_of
from sizeup_gateway.responses.framing import Chunks, Json, Timing
from sizeup_gateway.responses.json_bytes import encode
from sizeup_wire.events import Event, Finished, Text, Thinking


class Form(Protocol):
    """The dialect of a comparison."""

    def new_chunks(self, answer: Answer) -> Chunks[Event]:
        """Return the dialect's own conversion of the events of one answer."""

    def bare(self, answer: Answer | None, timing: Timing, *, done: bool) -> Json:
        """Return a chunk without text; without an answer, one of the whole comparison."""

    def whole(self, timing: Timing) -> Json:
        """Return the first fields of a whole response."""

    def partial(self, answer: Answer, text: str) -> Json:
        """Return the message of an answer that has no end, for a whole response."""

    def end(self, answer: Answer, finished: Finished | None) -> Json:
        """Return what the last chunk of an answer has besides; None: it was stopped."""

    def failure(self, error: GatewayError, answer: Answer) -> Json:
        """Return the fields of an answer that failed."""


class CompareChunks:
    """Chunks of a comparison."""

    def __init__(self, form: Form, plan: Plan) -> None:
        self._form = form
        self._plan = plan
        self._chunks = {_key(answer): form.new_chunks(answer) for answer in plan.answers}
        self._ends: dict[tuple[str, int], Ended | FailedAnswer] = {}
        self._summary: AllEnded | None = None

    def to_chunks(self, update: Update, timing: Timing) -> Sequence[Json]:
        match update:
            case Begun():
                bare = self._form.bare(None, timing, done=False)
                return [bare | {"compare": _begin(update.plan)}]
            case StatusChanged():
                return [self._status(update.answer, update.status, update.progress, timing)]
            case Generating():
                started = self._to_plain(update.answer, update.started, timing)
                status = self._status(update.answer, Status.GENERATING, None, timing)
                return [*started, status | {"prompt_tokens": update.started.prompt_tokens}]
            case Output():
                chunks = self._to_plain(update.answer, update.event, timing)
                if chunks and isinstance(update.event, Text | Thinking):
                    chunks[0]["tokens"] = update.event.tokens
                return chunks
            case Ended():
                return [self._end(update, timing)]
            case FailedAnswer():
                return [self._failure(update, timing)]
            case AllEnded():
                return [self._form.bare(None, timing, done=True) | {"compare": _summary(update)}]

    def collect(self, update: Update) -> int:
        match update:
            case Generating():
                return self._chunks[_key(update.answer)].collect(update.started)
            case Output():
                return self._chunks[_key(update.answer)].collect(update.event)
            case Ended() | FailedAnswer():
                self._ends[_key(update.answer)] = update
                if isinstance(update, Ended) and update.finished is not None:
                    self._chunks[_key(update.answer)].collect(update.finished)
                return len(encode(update.text)) + len(encode(update.thinking))
            case AllEnded():
                self._summary = update
        return 0

    def to_response(self, timing: Timing) -> Json:
        ends = [self._ends[_key(answer)] for answer in self._plan.answers]
        summary = {} if self._summary is None else _summary(self._summary)
        return self._form.whole(timing) | {
            "compare": _begin(self._plan) | summary,
            "responses": [self._whole(end, timing) for end in ends],
        }

    def _whole(self, end: Ended | FailedAnswer, timing: Timing) -> Json:
        partial = self._form.partial(end.answer, end.text)
        if isinstance(end, FailedAnswer):
            return self._failure(end, timing) | partial
        if end.finished is None:
            return self._end(end, timing) | partial
        whole = self._chunks[_key(end.answer)].to_response(_timing_of(end, timing))
        return whole | {"done": True} | _extras(end)

    def _to_plain(self, answer: Answer, event: Event, timing: Timing) -> list[Json]:
        chunks = self._chunks[_key(answer)].to_chunks(event, timing)
        return [chunk | {"sample": answer.sample} for chunk in chunks]

    def _status(
        self, answer: Answer, status: Status, progress: float | None, timing: Timing
    ) -> Json:
        shown = {} if progress is None else {"progress": progress}
        bare = self._form.bare(answer, timing, done=False)
        return bare | {"sample": answer.sample, "status": status.value} | shown

    def _end(self, end: Ended, timing: Timing) -> Json:
        timing, answer = _timing_of(end, timing), end.answer
        if end.finished is None:
            last = self._form.bare(answer, timing, done=True)
        else:
            last = self._to_plain(answer, end.finished, timing)[-1]
        return last | self._form.end(answer, end.finished) | _extras(end)

    def _failure(self, end: FailedAnswer, timing: Timing) -> Json:
        bare = self._form.bare(end.answer, timing, done=True)
        return bare | self._form.failure(end.error, end.answer) | _content(end)


def _content(end: Ended | FailedAnswer) -> Json:
    thinking = {"thinking": end.thinking} if end.thinking else {}
    return {"sample": end.answer.sample, "text": end.text, **thinking}


def _extras(end: Ended) -> Json:
    return _content(end) | {"figures": asdict(end.figures)}


def _key(answer: Answer) -> tuple[str, int]:
    return answer.name, answer.sample


def _timing_of(end: Ended, timing: Timing) -> Timing:
    return Timing(timing.at, round(end.figures.total_seconds * 1e9))


def _begin(plan: Plan) -> Json:
    models = {answer.name: answer.model for answer in plan.answers}
    return {
        "id": plan.id,
        "models": [
            {"model": name, "parameters": parameters_of(model), "state": model.state}
            for name, model in models.items()
        ],
        "samples": plan.samples,
        "seed": plan.seed,
        "one_at_a_time": plan.one_at_a_time,
    }


def _summary(update: AllEnded) -> Json:
    return {
        "id": update.plan.id,
        "answered": update.answered,
        "failed": update.failed,
        "cancelled": update.cancelled,
        "seconds": update.seconds,
        "agreement": None if update.agreement is None else _agreement(update.agreement),
    }


def _agreement(agreement: Agreement) -> Json:
    return {
        "largest": agreement.largest,
        "same": list(agreement.same),
        "smallest": agreement.smallest,
    }
