"""OpenAI's API: POST /v1/chat/completions, streamed as server-sent events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sizeup_loadtest.client.response import (
    Json,
    LineReader,
    as_count,
    as_mapping,
    error_message,
    parse,
)
from sizeup_loadtest.config.schema import Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import PlannedRequest

_LINES = (b"data:", b":", b"event:", b"id:", b"retry:")
"""How the lines of an event stream begin."""


@dataclass(slots=True)
class OpenAi(LineReader):
    """A chat completion: its parameters, and its response of server-sent events.

    Comments and unknown fields are skipped, the data lines of an event are joined.
    """

    path: ClassVar = "/v1/chat/completions"
    stream: ClassVar = "an event stream"
    _data: list[bytes] = field(default_factory=list)

    @staticmethod
    def parameters(planned: PlannedRequest, sampling: Sampling, server: Server) -> Json:
        """A fixed length has vLLM's `ignore_eos` and `min_tokens`."""
        body: Json = {
            server.max_tokens_field: planned.max_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "stream_options": {"include_usage": True},
        }
        if planned.length == "fixed":
            body |= {"ignore_eos": True, "min_tokens": planned.max_tokens}
        if sampling.think is not None:
            body["chat_template_kwargs"] = {"enable_thinking": sampling.think}
        return {name: value for name, value in body.items() if name not in server.omitted}

    def line(self, line: bytes, at_ns: int) -> None:
        line = line.removesuffix(b"\r")
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
        usage, choices = as_mapping(chunk.get("usage")), chunk.get("choices")
        self.response.error = self.response.error or error_message(chunk)
        if usage:
            self._usage(usage)
        for choice in choices if isinstance(choices, list) else ():
            self._choice(as_mapping(choice), usage, at_ns)

    def _usage(self, counts: Mapping[str, Any]) -> None:
        details = as_mapping(counts.get("prompt_tokens_details"))
        self.response.prompt_tokens = as_count(counts.get("prompt_tokens"))
        self.response.completion_tokens = as_count(counts.get("completion_tokens"))
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
            response.finish_reason = fields["finish_reason"]
            response.finished_ns = at_ns
