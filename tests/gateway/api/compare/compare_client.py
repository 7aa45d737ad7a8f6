"""Reads comparisons from a gateway, in either dialect."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.harness import Gateway

Json = dict[str, Any]


@dataclass(frozen=True)
class Compared:
    """A whole stream."""

    chunks: Sequence[Json]

    @property
    def begin(self) -> Json:
        found: Json = self.chunks[0]["compare"]
        return found

    @property
    def summary(self) -> Json:
        found: Json = self.chunks[-1]["compare"]
        return found

    def of(self, model: str, sample: int = 0) -> Sequence[Json]:
        return [c for c in self.chunks if (c.get("model"), c.get("sample")) == (model, sample)]

    def text(self, model: str, sample: int = 0) -> str:
        return "".join(map(_content, self.of(model, sample)))

    def end(self, model: str, sample: int = 0) -> Json:
        """Return the last chunk of an answer; it has exactly one."""
        (end,) = [c for c in self.of(model, sample) if c.get("done")]
        assert end is self.of(model, sample)[-1]
        return end

    def statuses(self, model: str, sample: int = 0) -> Sequence[str]:
        return [c["status"] for c in self.of(model, sample) if "status" in c]


async def compare(
    gateway: Gateway, body: Mapping[str, Any], path: str = "/api/compare"
) -> Compared:
    status, _, text = await gateway.post(path, {**body, "stream": True})
    assert status == 200, text
    if path == "/v1/compare":
        return Compared(sse_chunks(text))
    return Compared([json.loads(line) for line in text.splitlines()])


def _content(chunk: Json) -> str:
    """Return the text of a chunk in either dialect."""
    if "message" in chunk:
        return str(chunk["message"]["content"])
    return "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", ()))


def sse_chunks(text: str) -> Sequence[Json]:
    """Parse a stream of server-sent events that ends in [DONE]."""
    *events, done, rest = text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]
