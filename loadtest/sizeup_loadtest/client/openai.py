"""OpenAI's API: POST /v1/chat/completions, answered in server-sent events."""

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
from sizeup_loadtest.data.record import Planned
from sizeup_loadtest.workload.prompts import Prompt


class OpenAi:
    """Ask as OpenAI's clients do, with vLLM's words for a forced length."""

    path = "/v1/chat/completions"

    def __init__(self, sampling: Sampling) -> None:
        """Ask every prompt with the same sampling."""
        self._sampling = sampling

    def body(self, planned: Planned, prompt: Prompt) -> Json:
        """Return the request."""
        body: Json = {
            "model": planned.model,
            "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
            "max_tokens": planned.max_tokens,
            "temperature": self._sampling.temperature,
            "seed": self._sampling.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if planned.length == "forced":
            body |= {"ignore_eos": True, "min_tokens": planned.max_tokens}
        if self._sampling.think is not None:
            body["chat_template_kwargs"] = {"enable_thinking": self._sampling.think}
        return body

    def reader(self) -> "SseReader":
        """Return a reader for one answer."""
        return SseReader()


class SseReader:
    """Read events: comments and unknown fields are passed over, data lines of one event joined."""

    def __init__(self) -> None:
        """Begin before the first byte."""
        self.answer = Answer()
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes, at_ns: int) -> None:
        """Take bytes that arrived together."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.removesuffix(b"\r"), at_ns)

    def end(self, at_ns: int) -> None:
        """Take a last event that no empty line follows; some servers say no [DONE] either."""
        with suppress(UnreadableError):
            self.feed(b"\n\n", at_ns)
        self.answer.complete |= self.answer.finish_reason is not None

    def _line(self, line: bytes, at_ns: int) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            event = b"\n".join(self._data)
            self._data.clear()
            self._event(event, at_ns)

    def _event(self, data: bytes, at_ns: int) -> None:
        if data.strip() == b"[DONE]":
            self.answer.complete = True
            return
        chunk = parse(data)
        self.answer.error = self.answer.error or error_of(chunk)
        self._usage(mapping_of(chunk.get("usage")))
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            self._choice(mapping_of(choice), at_ns)

    def _usage(self, usage: Json | object) -> None:
        counts = mapping_of(usage)
        if counts:
            self.answer.prompt_tokens = count_of(counts.get("prompt_tokens"))
            self.answer.completion_tokens = count_of(counts.get("completion_tokens"))

    def _choice(self, choice: object, at_ns: int) -> None:
        said = mapping_of(choice)
        delta = mapping_of(said.get("delta"))
        content = delta.get("content")
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if content or thought or delta.get("tool_calls"):
            self.answer.chunk_ns.append(at_ns)
        if isinstance(content, str):
            self.answer.text.append(content)
        if isinstance(said.get("finish_reason"), str):
            self.answer.finish_reason = said["finish_reason"]
            self.answer.finished_ns = at_ns
