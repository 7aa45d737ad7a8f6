"""Ollama's API: POST /api/chat, streamed as NDJSON with the server's own durations."""

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
from sizeup_loadtest.data.record import PlannedRequest, ServerTimes

_FIELDS = frozenset({"message", "done", "error"})
"""Of which every line has one."""


class Ollama(LineReader):
    """A chat: its parameters, and its response of one JSON object per line."""

    path = "/api/chat"
    stream = "a stream of JSON lines"

    @staticmethod
    def parameters(planned: PlannedRequest, sampling: Sampling, server: Server) -> Json:
        """The API has no fixed output length, and no parameter that a server refuses."""
        think = {} if sampling.think is None else {"think": sampling.think}
        options = {
            "num_predict": planned.max_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
        }
        return {"options": options, **think}

    def line(self, line: bytes, at_ns: int) -> None:
        if not line.strip():
            return
        response, chunk = self.response, parse(line)
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
