"""Ollama's API: POST /api/chat, streamed as NDJSON with the server's own durations."""

from contextlib import suppress

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
from sizeup_loadtest.data.record import PlannedRequest, ServerTimes
from sizeup_loadtest.workload.prompt import Prompt

_FIELDS = frozenset({"message", "done", "error"})
"""Of which every line has one."""


class Ollama:
    """Chat requests. The API has no fixed output length."""

    path = "/api/chat"

    def __init__(self, sampling: Sampling, server: Server) -> None:
        self._sampling = sampling
        self._server = server

    def body(self, planned: PlannedRequest, prompt: Prompt) -> Json:
        body: Json = {
            "model": self._server.model,
            "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
            "stream": True,
            "options": {
                "num_predict": planned.max_tokens,
                "temperature": self._sampling.temperature,
                "seed": self._sampling.seed,
            },
        }
        if self._sampling.think is not None:
            body["think"] = self._sampling.think
        return merged(body, self._server.extra_body)

    def reader(self) -> "NdjsonReader":
        return NdjsonReader()


class NdjsonReader:
    """One JSON object per line."""

    def __init__(self) -> None:
        self.response = StreamedResponse()
        self._rest = b""

    def feed(self, data: bytes, at_ns: int) -> None:
        """Parse bytes that arrived together; MalformedResponseError when they are invalid."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._chunk(parse(line), at_ns)

    def end(self, at_ns: int) -> None:
        """Parse a last line without a newline."""
        with suppress(MalformedResponseError):
            self.feed(b"\n", at_ns)

    def _chunk(self, chunk: Json, at_ns: int) -> None:
        response = self.response
        response.is_stream |= not _FIELDS.isdisjoint(chunk)
        response.error = response.error or error_message(chunk)
        message = as_mapping(chunk.get("message"))
        response.add(
            at_ns, message.get("content"), message.get("thinking"), message.get("tool_calls")
        )
        if chunk.get("done") is True:
            self._last(chunk)
            response.finished_ns = at_ns

    def _last(self, chunk: Json) -> None:
        response, reason = self.response, chunk.get("done_reason")
        response.complete = True
        response.prompt_tokens = as_count(chunk.get("prompt_eval_count"))
        response.completion_tokens = as_count(chunk.get("eval_count"))
        response.finish_reason = reason if isinstance(reason, str) else None
        if as_count(chunk.get("total_duration")) is not None:
            response.server = ServerTimes(
                total=chunk["total_duration"],
                load=as_count(chunk.get("load_duration")) or 0,
                prompt_eval=as_count(chunk.get("prompt_eval_duration")) or 0,
                eval=as_count(chunk.get("eval_duration")) or 0,
            )
