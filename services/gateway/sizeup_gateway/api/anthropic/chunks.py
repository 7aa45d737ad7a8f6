"""Events -> the events and whole responses of Anthropic's Messages API. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sizeup_gateway.responses.framing import Json, Timing
from sizeup_gateway.responses.json_bytes import JsonFragment, JsonStringBuilder, join_strings
from sizeup_gateway.responses.segments import Segment, Segments
from sizeup_wire.events import Event, Finished, FinishReason, Started, Thinking

_SIGNATURE = "unsigned"
"""Clients return thinking only if it has a signature; none is checked here."""


class MessageChunks:
    """Events of /v1/messages: a content block for each segment of the output."""

    def __init__(self, id: str, model: str, *, omits_thinking: bool = False) -> None:
        """`model` is the name that the client sent."""
        self._message: Json = {"id": id, "type": "message", "role": "assistant", "model": model}
        self._omits_thinking = omits_thinking
        self._segments = Segments()
        self._open: Segment | None = None
        self._index = 0
        """Of the open block in a stream, or of the next one."""
        self._blocks: list[_Block] = []
        """Of a whole response."""
        self._finished: Finished | None = None
        self.ended = False
        """The last event of a stream was returned."""

    def to_chunks(self, event: Event, timing: Timing) -> Sequence[Json]:
        match event:
            case Started():
                usage = _usage(event.prompt_tokens, 0, 0)
                message = self._to_message([], None, None, usage)
                return [{"type": "message_start", "message": message}, {"type": "ping"}]
            case Thinking() if self._omits_thinking:
                return []
            case Finished():
                return [*self._step(event), *self._end(event)]
        return self._step(event)

    def collect(self, event: Event) -> int:
        if isinstance(event, Thinking) and self._omits_thinking:
            return 0
        if isinstance(event, Finished):
            self._finished = event
        step = self._segments.step(event)
        if step.opens is not None:
            self._blocks.append(_Block(step.opens))
        return self._blocks[-1].add(step.text) if step.text else 0

    def to_response(self, timing: Timing) -> Json:
        if self._finished is None:
            raise ValueError("the message is not finished")
        end = self._finished
        content = [block.to_json() for block in self._blocks]
        return self._to_message(content, *_stop(end), _final_usage(end))

    def _to_message(
        self, content: list[Json], reason: str | None, sequence: str | None, usage: Json
    ) -> Json:
        return {
            **self._message,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": usage,
        }

    def _step(self, event: Event) -> list[Json]:
        step = self._segments.step(event)
        events: list[Json] = []
        if step.closes:
            events += self._close()
        if step.opens is not None:
            self._open = step.opens
            block = _Block(step.opens).to_json(empty=True)
            events.append(self._block_event("start", content_block=block))
        if step.text and self._open is not None:
            events.append(self._block_event("delta", delta=_delta(self._open, step.text)))
        if step.completes:
            events += self._close()
        return events

    def _close(self) -> list[Json]:
        events = [self._block_event("stop")]
        if self._open is not None and self._open.kind == "reasoning":
            signature = {"type": "signature_delta", "signature": _SIGNATURE}
            events.insert(0, self._block_event("delta", delta=signature))
        self._open = None
        self._index += 1
        return events

    def _end(self, end: Finished) -> list[Json]:
        self.ended = True
        reason, sequence = _stop(end)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        return [
            {"type": "message_delta", "delta": delta, "usage": _final_usage(end)},
            {"type": "message_stop"},
        ]

    def _block_event(self, kind: str, **fields: object) -> Json:
        return {"type": f"content_block_{kind}", "index": self._index, **fields}


@dataclass(slots=True)
class _Block:
    """A content block of a whole response."""

    segment: Segment
    text: JsonStringBuilder = field(default_factory=JsonStringBuilder)
    input: bytearray = field(default_factory=bytearray)
    """The arguments of a call: a JSON object."""

    def add(self, text: str) -> int:
        """Append text and return its encoded size in bytes."""
        if self.segment.kind != "call":
            return self.text.add(text)
        encoded = text.encode()
        self.input += encoded
        return len(encoded)

    def to_json(self, *, empty: bool = False) -> Json:
        """Return the block; with `empty`, as it starts in a stream."""
        text = join_strings(self.text)
        match self.segment.kind:
            case "text":
                return {"type": "text", "text": text}
            case "reasoning":
                signature = "" if empty else _SIGNATURE
                return {"type": "thinking", "thinking": text, "signature": signature}
        call = {"type": "tool_use", "id": self.segment.call_id, "name": self.segment.name}
        return {**call, "input": {} if empty else JsonFragment((self.input,))}


def _delta(segment: Segment, text: str) -> Json:
    match segment.kind:
        case "text":
            return {"type": "text_delta", "text": text}
        case "reasoning":
            return {"type": "thinking_delta", "thinking": text}
    return {"type": "input_json_delta", "partial_json": text}


def _stop(end: Finished) -> tuple[str, str | None]:
    """Return stop_reason and stop_sequence."""
    match end.reasons[0]:
        case FinishReason.LENGTH:
            return "max_tokens", None
        case FinishReason.TOOL_CALLS:
            return "tool_use", None
    matched = end.stop_strings[0] if end.stop_strings else None
    return ("end_turn" if matched is None else "stop_sequence"), matched


def _final_usage(end: Finished) -> Json:
    return _usage(end.prompt_tokens, end.cached_tokens, end.completion_tokens)


def _usage(prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> Json:
    """The tokens of a prompt are the sum of the first three."""
    return {
        "input_tokens": prompt_tokens - cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached_tokens,
        "output_tokens": completion_tokens,
    }
