"""OpenAI's API: POST /v1/chat/completions, streamed as server-sent events."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sizeup_loadtest.client.response import (
    Json,
    MalformedResponseError,
    StreamedResponse,
    as_count,
    as_mapping,
    error_message,
    merged,
    parse,
)
from sizeup_loadtest.config.schema import Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import PlannedRequest
from sizeup_loadtest.workload.prompt import Prompt

_LINES = (b"data:", b":", b"event:", b"id:", b"retry:")
"""How the lines of an event stream begin."""


class OpenAi:
    """Chat completions, with vLLM's `ignore_eos` and `min_tokens` for a fixed length."""

    path = "/v1/chat/completions"

    def __init__(self, sampling: Sampling, server: Server) -> None:
        self._sampling = sampling
        self._server = server

    def body(self, planned: PlannedRequest, prompt: Prompt) -> Json:
        server = self._server
        body: Json = {
            "model": server.model,
            "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
            server.max_tokens_field: planned.max_tokens,
            "temperature": self._sampling.temperature,
            "seed": self._sampling.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if planned.length == "fixed":
            body |= {"ignore_eos": True, "min_tokens": planned.max_tokens}
        if self._sampling.think is not None:
            body["chat_template_kwargs"] = {"enable_thinking": self._sampling.think}
        body = {name: value for name, value in body.items() if name not in server.omitted}
        return merged(body, server.extra_body)

    def reader(self) -> "SseReader":
        return SseReader()


class SseReader:
    """Server-sent events: skips comments and unknown fields, joins the data lines of an event."""

    def __init__(self) -> None:
        self.response = StreamedResponse()
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes, at_ns: int) -> None:
        """Parse bytes that arrived together; MalformedResponseError when they are invalid."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.removesuffix(b"\r"), at_ns)

    def end(self, at_ns: int) -> None:
        """Parse a last event without an empty line after it; some servers send no [DONE]."""
        with suppress(MalformedResponseError):
            self.feed(b"\n\n", at_ns)
        self.response.complete |= self.response.finish_reason is not None

    def _line(self, line: bytes, at_ns: int) -> None:
        self.response.is_stream |= line.startswith(_LINES)
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            event = b"\n".join(self._data)
            self._data.clear()
            self._event(event, at_ns)

    def _event(self, data: bytes, at_ns: int) -> None:
        if data.strip() == b"[DONE]":
            self.response.complete = True
            return
        chunk = parse(data)
        self.response.error = self.response.error or error_message(chunk)
        self._usage(chunk.get("usage"))
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            self._choice(as_mapping(choice), as_mapping(chunk.get("usage")), at_ns)

    def _usage(self, usage: object) -> None:
        counts = as_mapping(usage)
        if counts:
            self.response.prompt_tokens = as_count(counts.get("prompt_tokens"))
            self.response.completion_tokens = as_count(counts.get("completion_tokens"))
            details = as_mapping(counts.get("prompt_tokens_details"))
            self.response.cached_tokens = as_count(details.get("cached_tokens"))

    def _choice(self, fields: Mapping[str, Any], usage: Mapping[str, Any], at_ns: int) -> None:
        response, delta = self.response, as_mapping(fields.get("delta"))
        first = not response.chunk_ns
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        if response.add(at_ns, delta.get("content"), thinking, delta.get("tool_calls")) and first:
            logprobs = as_mapping(fields.get("logprobs")).get("content")
            response.first_tokens = as_count(usage.get("completion_tokens")) or (
                len(logprobs) if isinstance(logprobs, list) and logprobs else None
            )
        if isinstance(fields.get("finish_reason"), str):
            self.response.finish_reason = fields["finish_reason"]
            self.response.finished_ns = at_ns
