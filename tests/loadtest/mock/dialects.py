"""Response formats."""

import json
from datetime import UTC, datetime
from typing import Any, Protocol

from loadtest.mock.behaviour import Behaviour
from loadtest.mock.script import MockRequest, Piece, Script
from loadtest.mock.truth import ServedRequest

Json = dict[str, Any]


class MockDialect(Protocol):
    """The response format of an endpoint."""

    content_type: str
    comment: bytes
    """A comment, which clients skip; empty where the format has none."""

    def early(self) -> bytes:
        """Return a chunk without text."""

    def piece(self, piece: Piece, first: bool) -> bytes:
        """Return a chunk with text."""

    def last(self, script: Script, served: ServedRequest) -> bytes:
        """Return the end of a stream."""

    def whole(self, script: Script, served: ServedRequest) -> Json:
        """Return a response without streaming."""

    def broken(self, message: str) -> bytes:
        """Return an error inside a stream."""

    def error_response(self, status: int, message: str) -> Json:
        """Return an error before the stream."""


_TAGS = {(False, True): "<think>", (True, False): "</think>"}
"""Between a chunk that thinks, or not, and the next one."""


class MockOpenAi:
    """`/v1/chat/completions`, or `/v1/completions` when `chat` is false."""

    content_type = "text/event-stream"
    comment = b": still here\n\n"

    def __init__(self, wanted: MockRequest, chat: bool, behaviour: Behaviour) -> None:
        self._request = wanted
        self._chat = chat
        self._behaviour = behaviour
        self._tokens = 0
        self._thinking = False
        kind = ("chat.completion" if chat else "text_completion") + (
            ".chunk" if chat and wanted.stream else ""
        )
        self._head: Json = {
            "id": "chatcmpl-mock",
            "object": kind,
            "created": int(datetime.now(UTC).timestamp()),
            "model": wanted.model,
        }
        # A JSON encoder per token would be the bottleneck with 1,000 streams.
        self._prefix = json.dumps(self._head)[:-1] + ', "choices": [{"index": 0, '

    def early(self) -> bytes:
        """Return a delta of a role and no text."""
        delta = {"role": "assistant", "content": ""}
        return self._event('"delta": ' + json.dumps(delta) if self._chat else '"text": ""')

    def piece(self, piece: Piece, first: bool) -> bytes:
        """Return a delta; the first carries the role."""
        text = json.dumps(piece.text)
        if not self._chat:
            return self._event(f'"text": {text}')
        role = '"role": "assistant", ' if first else ""
        self._tokens += piece.tokens
        if self._behaviour.think_tags:
            tag = _TAGS.get((self._thinking, piece.thinking), "")
            self._thinking, text = piece.thinking, json.dumps(tag + piece.text)
        separate = piece.thinking and not self._behaviour.think_tags
        field = "reasoning_content" if separate else "content"
        return self._event(f'"delta": {{{role}"{field}": {text}}}')

    def _event(self, choice: str, finish: str = "null") -> bytes:
        counts = {"prompt_tokens": 1, "completion_tokens": self._tokens}
        usage = f', "usage": {json.dumps(counts)}' if self._behaviour.usage == "continuous" else ""
        return f'data: {self._prefix}{choice}, "finish_reason": {finish}}}]{usage}}}\n\n'.encode()

    def last(self, script: Script, served: ServedRequest) -> bytes:
        """Return the finish reason, the usage if wanted, and the end mark."""
        del served
        empty = '"delta": {}' if self._chat else '"text": ""'
        end = self._event(empty, json.dumps(script.finish))
        if self._request.usage and self._behaviour.usage != "never":
            extra = self._head | {"choices": [], "usage": _usage(script)}
            end += b"data: " + json.dumps(extra).encode() + b"\n\n"
        return end + b"data: [DONE]\n\n"

    def whole(self, script: Script, served: ServedRequest) -> Json:
        """Return a completion."""
        del served
        thinking, text = _texts(script)
        message = {"role": "assistant", "content": text}
        if thinking:
            message["reasoning_content"] = thinking
        body: Json = {"message": message} if self._chat else {"text": thinking + text}
        choice = {"index": 0, "finish_reason": script.finish, **body}
        return self._head | {"choices": [choice], "usage": _usage(script)}

    def broken(self, message: str) -> bytes:
        """Return an error event."""
        return b"data: " + json.dumps(self.error_response(500, message)).encode() + b"\n\n"

    def error_response(self, status: int, message: str) -> Json:
        """Return OpenAI's error object."""
        return {"error": {"message": message, "type": "mock", "param": None, "code": status}}


class MockOllama:
    """`/api/chat`, or `/api/generate` when `chat` is false."""

    content_type = "application/x-ndjson"
    comment = b""

    def __init__(self, wanted: MockRequest, chat: bool) -> None:
        self._chat = chat
        self._head: Json = {"model": wanted.model, "created_at": datetime.now(UTC).isoformat()}

    def early(self) -> bytes:
        """Return a line without text."""
        return self._line(self._message("", "") | {"done": False})

    def piece(self, piece: Piece, first: bool) -> bytes:
        """Return a line."""
        del first
        thinking, text = (piece.text, "") if piece.thinking else ("", piece.text)
        return self._line(self._message(thinking, text) | {"done": False})

    def last(self, script: Script, served: ServedRequest) -> bytes:
        """Return the line with counts and durations."""
        return self._line(self._message("", "") | _durations(script, served))

    def whole(self, script: Script, served: ServedRequest) -> Json:
        """Return the same in one object."""
        return self._head | self._message(*_texts(script)) | _durations(script, served)

    def broken(self, message: str) -> bytes:
        """Return an error line."""
        return json.dumps({"error": message}).encode() + b"\n"

    def error_response(self, status: int, message: str) -> Json:
        """Return Ollama's error object."""
        del status
        return {"error": message}

    def _message(self, thinking: str, text: str) -> Json:
        extra = {"thinking": thinking} if thinking else {}
        if self._chat:
            return {"message": {"role": "assistant", "content": text, **extra}}
        return {"response": text, **extra}

    def _line(self, body: Json) -> bytes:
        return json.dumps(self._head | body).encode() + b"\n"


def _texts(script: Script) -> tuple[str, str]:
    parts = [
        "".join(p.text for p in script.pieces if p.thinking is thinking)
        for thinking in (True, False)
    ]
    return parts[0], parts[1]


def _usage(script: Script) -> Json:
    usage: Json = {
        "prompt_tokens": script.prompt_tokens,
        "completion_tokens": script.tokens,
        "total_tokens": script.prompt_tokens + script.tokens,
    }
    if script.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": script.cached_tokens}
    return usage


def _durations(script: Script, served: ServedRequest) -> Json:
    """Return Ollama's durations; the queue is the remainder of the total."""
    begun = (served.begun_ns or served.arrived_ns) + served.load_ns
    first, last = served.written_ns[0], served.written_ns[-1]
    streamed = len(served.written_ns) == len(script.pieces)
    prefill = first - begun if streamed else script.pieces[0].due_ns
    return {
        "done": True,
        "done_reason": script.finish,
        "total_duration": last - served.arrived_ns,
        "load_duration": served.load_ns,
        "prompt_eval_count": script.prompt_tokens,
        "prompt_eval_duration": prefill,
        "eval_count": script.tokens,
        "eval_duration": last - begun - prefill,
    }
