"""Events -> the events and whole responses of the Responses API. Pure."""

from collections.abc import Mapping, Sequence

from sizeup_gateway.api.openai.responses_api.items import (
    FunctionCall,
    Item,
    ItemOptions,
    Status,
    new_item,
)
from sizeup_gateway.errors import GatewayError
from sizeup_gateway.responses.framing import Json, Timing
from sizeup_gateway.responses.segments import Segments, Step
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Finished, FinishReason, Started

_ERROR_CODES: Mapping[str, str] = {
    ErrorCode.INVALID_REQUEST: "invalid_prompt",
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: "invalid_prompt",
    ErrorCode.UNSUPPORTED: "invalid_prompt",
    ErrorCode.BUSY: "rate_limit_exceeded",
}
"""OpenAI's codes of failed responses; any other error is `server_error`."""


class ResponsesChunks:
    """Events of /v1/responses. A stream repeats its content at the end, so it is kept."""

    def __init__(self, response: Json, options: ItemOptions) -> None:
        """`response` is the response object in progress; see `echo`."""
        self._response = response
        self._options = options
        self._segments = Segments()
        self._open: Item | None = None
        self._done: list[Json] = []
        """Items that are complete or were cut off."""
        self._sequence_number = 0
        self._finished: Finished | None = None
        self._ended = False
        """A terminal event was returned."""
        self.kept_bytes = 0

    def to_chunks(self, event: Event, timing: Timing) -> Sequence[Json]:
        """Return the events of one event: exactly one that is terminal, for the last one."""
        match event:
            case Started():
                return self._numbered(self._created())
            case Finished():
                return self._numbered([*self._step(event), self._terminal(event, timing)])
        return self._numbered(self._step(event))

    def collect(self, event: Event) -> int:
        """Collect an event; what it adds to the response is kept once."""
        before = self.kept_bytes
        self._step(event)
        if isinstance(event, Finished):
            self._finished = event
        return self.kept_bytes - before

    def to_response(self, timing: Timing) -> Json:
        if self._finished is None:
            raise ValueError("the response is not finished")
        return self._to_response(self._finished, timing)

    def to_failed(self, error: GatewayError) -> Sequence[Json]:
        """Return the terminal event of an error; nothing after another terminal event."""
        if self._ended:
            return []
        events = [] if self._sequence_number else self._created()
        output = [*self._done, *([self._open.to_json("incomplete")] if self._open else [])]
        code = _ERROR_CODES.get(error.code, "server_error")
        changes = {
            "status": "failed",
            "error": {"code": code, "message": error.message},
            "output": output,
        }
        self._ended = True
        return self._numbered(
            [*events, {"type": "response.failed", "response": self._response | changes}]
        )

    def _created(self) -> list[Json]:
        kinds = ("response.created", "response.in_progress")
        return [{"type": kind, "response": self._response} for kind in kinds]

    def _terminal(self, end: Finished, timing: Timing) -> Json:
        response = self._to_response(end, timing)
        self._ended = True
        return {"type": f"response.{response['status']}", "response": response}

    def _to_response(self, end: Finished, timing: Timing) -> Json:
        changes: Json = {"output": self._done, "usage": _usage(end)}
        if _is_cut_off(end):
            details = {"reason": "max_output_tokens"}
            changes |= {"status": "incomplete", "incomplete_details": details}
        else:
            changes |= {"status": "completed", "completed_at": int(timing.at.timestamp())}
        return self._response | changes

    def _step(self, event: Event) -> list[Json]:
        step = self._segments.step(event)
        events: list[Json] = []
        if step.closes:
            cut_off = isinstance(event, Finished) and _is_cut_off(event)
            complete = not cut_off and not isinstance(self._open, FunctionCall)
            events += self._close("completed" if complete else "incomplete")
        if step.opens is not None:
            self._open = new_item(step.opens, self._options)
            events += self._indexed(self._open.opening())
        if step.text or step.logprobs:
            events += self._add(step)
        if step.completes:
            events += self._close("completed")
        return events

    def _add(self, step: Step) -> list[Json]:
        if self._open is None:
            raise ValueError("text without an open item")
        self.kept_bytes += self._open.add(step.text, step.logprobs)
        return self._indexed([self._open.delta(step.text, step.logprobs)])

    def _close(self, status: Status) -> list[Json]:
        if self._open is None:
            raise ValueError("no item is open")
        events = self._indexed(self._open.closing(status))
        self._open = None
        self._done.append(events[-1]["item"])
        return events

    def _indexed(self, events: Sequence[Json]) -> list[Json]:
        return [{**event, "output_index": len(self._done)} for event in events]

    def _numbered(self, events: Sequence[Json]) -> list[Json]:
        first = self._sequence_number
        self._sequence_number += len(events)
        return [{**event, "sequence_number": first + i} for i, event in enumerate(events)]


def _is_cut_off(end: Finished) -> bool:
    return end.reasons[0] is FinishReason.LENGTH


def _usage(end: Finished) -> Json:
    return {
        "input_tokens": end.prompt_tokens,
        "input_tokens_details": {"cached_tokens": end.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": end.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": end.reasoning_tokens},
        "total_tokens": end.prompt_tokens + end.completion_tokens,
    }
