"""Output items of a response: their objects, and the events with which a stream builds them. Pure.

`opening`, `delta` and `closing` return the events before the text of an item, of a piece of it, and
after it; `add` appends a piece and returns its encoded size in bytes. Events lack the
`output_index` and `sequence_number`, which `ResponsesChunks` adds.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sizeup_gateway.api.openai.chunks import token_logprob
from sizeup_gateway.api.openai.responses_api.reasoning import seal
from sizeup_gateway.api.openai.responses_api.tools import Names
from sizeup_gateway.responses.framing import Json
from sizeup_gateway.responses.json_bytes import (
    JsonArrayBuilder,
    JsonFragment,
    JsonStringBuilder,
    join_arrays,
    join_strings,
)
from sizeup_gateway.responses.segments import Segment
from sizeup_wire.events import TokenLogprob

Status = Literal["in_progress", "completed", "incomplete"]

_EMPTY_PART: Json = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """How output items look."""

    names: Names = field(default_factory=dict)
    summarizes: bool = False
    """Reasoning is returned as its own summary."""
    seals: bool = False
    """Reasoning has `encrypted_content`."""


class Message:
    def __init__(self) -> None:
        self._id = _new_id("msg")
        self._text = JsonStringBuilder()
        self._logprobs: JsonArrayBuilder[TokenLogprob] = JsonArrayBuilder(token_logprob)

    def add(self, text: str, logprobs: Sequence[TokenLogprob]) -> int:
        return self._text.add(text) + self._logprobs.extend(logprobs)

    def opening(self) -> list[Json]:
        item = {**self.to_json("in_progress"), "content": []}
        return [_added(item), self._event("response.content_part.added", part=_EMPTY_PART)]

    def delta(self, text: str, logprobs: Sequence[TokenLogprob]) -> Json:
        tokens = [token_logprob(token) for token in logprobs]
        return self._event("response.output_text.delta", delta=text, logprobs=tokens)

    def closing(self, status: Status) -> list[Json]:
        text, logprobs = join_strings(self._text), join_arrays(self._logprobs)
        return [
            self._event("response.output_text.done", text=text, logprobs=logprobs),
            self._event("response.content_part.done", part=self._part()),
            _done(self.to_json(status)),
        ]

    def to_json(self, status: Status) -> Json:
        return {
            "id": self._id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [self._part()],
        }

    def _part(self) -> Json:
        text, logprobs = join_strings(self._text), join_arrays(self._logprobs)
        return {**_EMPTY_PART, "text": text, "logprobs": logprobs}

    def _event(self, kind: str, **fields: object) -> Json:
        return {"type": kind, "item_id": self._id, "content_index": 0, **fields}


class Reasoning:
    def __init__(self, options: ItemOptions) -> None:
        self._id = _new_id("rs")
        self._text = JsonStringBuilder()
        self._summarizes = options.summarizes
        self._seals = options.seals

    def add(self, text: str, logprobs: Sequence[TokenLogprob]) -> int:
        size = self._text.add(text)
        return size + (4 * size // 3 if self._seals else 0)  # base64

    def opening(self) -> list[Json]:
        part = "reasoning_summary_part" if self._summarizes else "content_part"
        item = self._item("in_progress", parts=[])
        return [_added(item), self._event(f"response.{part}.added", part=self._part(""))]

    def delta(self, text: str, logprobs: Sequence[TokenLogprob]) -> Json:
        return self._event(f"{self._text_events}.delta", delta=text)

    def closing(self, status: Status) -> list[Json]:
        part = "reasoning_summary_part" if self._summarizes else "content_part"
        text = join_strings(self._text)
        return [
            self._event(f"{self._text_events}.done", text=text),
            self._event(f"response.{part}.done", part=self._part(text)),
            _done(self.to_json(status)),
        ]

    def to_json(self, status: Status) -> Json:
        item = self._item(status, parts=[self._part(join_strings(self._text))])
        if self._seals:
            item["encrypted_content"] = seal(json.loads(b'"' + self._text.data + b'"'))
        return item

    def _item(self, status: Status, parts: list[Json]) -> Json:
        content = {"summary": parts} if self._summarizes else {"summary": [], "content": parts}
        return {"id": self._id, "type": "reasoning", "status": status, **content}

    def _part(self, text: str | JsonFragment) -> Json:
        return {"type": "summary_text" if self._summarizes else "reasoning_text", "text": text}

    @property
    def _text_events(self) -> str:
        return f"response.reasoning{'_summary' if self._summarizes else ''}_text"

    def _event(self, kind: str, **fields: object) -> Json:
        index = "summary_index" if self._summarizes else "content_index"
        return {"type": kind, "item_id": self._id, index: 0, **fields}


class FunctionCall:
    def __init__(self, call: Segment, names: Names) -> None:
        self._id = _new_id("fc")
        self._arguments = JsonStringBuilder()
        namespace, name = names.get(call.name, (None, call.name))
        self._call: Json = {"call_id": call.call_id, "name": name}
        if namespace is not None:
            self._call["namespace"] = namespace

    def add(self, text: str, logprobs: Sequence[TokenLogprob]) -> int:
        return self._arguments.add(text)

    def opening(self) -> list[Json]:
        return [_added(self.to_json("in_progress"))]

    def delta(self, text: str, logprobs: Sequence[TokenLogprob]) -> Json:
        return self._event("delta", delta=text)

    def closing(self, status: Status) -> list[Json]:
        done = self._event("done", name=self._call["name"], arguments=join_strings(self._arguments))
        return [done, _done(self.to_json(status))]

    def to_json(self, status: Status) -> Json:
        return {
            "id": self._id,
            "type": "function_call",
            "status": status,
            **self._call,
            "arguments": join_strings(self._arguments),
        }

    def _event(self, kind: str, **fields: object) -> Json:
        return {
            "type": f"response.function_call_arguments.{kind}", "item_id": self._id, **fields
        }  # fmt: skip


Item = Message | Reasoning | FunctionCall


def new_item(segment: Segment, options: ItemOptions) -> Item:
    """Create the item of a segment."""
    if segment.kind == "text":
        return Message()
    if segment.kind == "call":
        return FunctionCall(segment, options.names)
    return Reasoning(options)


def _added(item: Json) -> Json:
    return {"type": "response.output_item.added", "item": item}


def _done(item: Json) -> Json:
    return {"type": "response.output_item.done", "item": item}


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
