"""Ollama's API: POST /api/chat, answered in JSON lines with the server's own durations."""

from contextlib import suppress

from sizeup_loadtest.client.answer import (
    Answer,
    Json,
    UnreadableError,
    count_of,
    error_of,
    mapping_of,
    parse,
)
from sizeup_loadtest.config.schema import Sampling
from sizeup_loadtest.data.record import Planned, ServerTimes
from sizeup_loadtest.workload.prompts import Prompt


class Ollama:
    """Ask as Ollama's clients do. It has no word for a forced length."""

    path = "/api/chat"

    def __init__(self, sampling: Sampling) -> None:
        """Ask every prompt with the same sampling."""
        self._sampling = sampling

    def body(self, planned: Planned, prompt: Prompt) -> Json:
        """Return the request."""
        body: Json = {
            "model": planned.model,
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
        return body

    def reader(self) -> "LineReader":
        """Return a reader for one answer."""
        return LineReader()


class LineReader:
    """Read one JSON object a line."""

    def __init__(self) -> None:
        """Begin before the first byte."""
        self.answer = Answer()
        self._rest = b""

    def feed(self, data: bytes, at_ns: int) -> None:
        """Take bytes that arrived together."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._chunk(parse(line), at_ns)

    def end(self, at_ns: int) -> None:
        """Take a last line without its end."""
        with suppress(UnreadableError):
            self.feed(b"\n", at_ns)

    def _chunk(self, chunk: Json, at_ns: int) -> None:
        self.answer.error = self.answer.error or error_of(chunk)
        message = mapping_of(chunk.get("message"))
        content = message.get("content")
        if content or message.get("thinking") or message.get("tool_calls"):
            self.answer.chunk_ns.append(at_ns)
        if isinstance(content, str):
            self.answer.text.append(content)
        if chunk.get("done") is True:
            self._last(chunk)
            self.answer.finished_ns = at_ns

    def _last(self, chunk: Json) -> None:
        answer, reason = self.answer, chunk.get("done_reason")
        answer.complete = True
        answer.prompt_tokens = count_of(chunk.get("prompt_eval_count"))
        answer.completion_tokens = count_of(chunk.get("eval_count"))
        answer.finish_reason = reason if isinstance(reason, str) else None
        if count_of(chunk.get("total_duration")) is not None:
            answer.server = ServerTimes(
                total=chunk["total_duration"],
                load=count_of(chunk.get("load_duration")) or 0,
                prompt_eval=count_of(chunk.get("prompt_eval_duration")) or 0,
                eval=count_of(chunk.get("eval_duration")) or 0,
            )
