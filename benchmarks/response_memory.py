"""Measure the memory of a large response that is not streamed: as events, and as JSON bytes.

    python benchmarks/response_memory.py [--prompts 64] [--tokens 2048]

The response is lm-eval's: echoed prompts with the logprob of each token and of the likeliest.
Each representation is measured in its own process, by its memory before and after. Logprobs have
all their digits, like those of a real model.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from sizeup_gateway.api.openai.chunks import Heading
from sizeup_gateway.api.openai.completion_chunks import CompletionChunks
from sizeup_gateway.responses.framing import Timing
from sizeup_gateway.responses.json_bytes import encode_pieces
from sizeup_wire.events import Event, Finished, FinishReason, PromptToken, PromptTokens, TopLogprob

_PIECE = 128
"""Tokens per event, as inference sends them."""
_PAGE_BYTES = 4096
_WAYS = ("events", "bytes")


def token(rng: random.Random) -> PromptToken:
    """Return a random token of five letters."""
    word = "".join(rng.choices("abcdefgh ", k=5))
    own, value = tuple(word.encode()), -5 * rng.random()
    top = TopLogprob(token=word, bytes=own, logprob=value)
    return PromptToken(token=word, bytes=own, logprob=value, top=(top,))


def events(prompts: int, tokens: int) -> Iterator[Event]:
    """Yield the events of a request that echoes its prompts and generates nothing."""
    rng = random.Random(7)
    for prompt in range(prompts):
        for _ in range(0, tokens, _PIECE):
            echoed = tuple(token(rng) for _ in range(_PIECE))
            yield PromptTokens(choice=prompt, text="".join(t.token for t in echoed), tokens=echoed)
    yield Finished(
        reasons=(FinishReason.LENGTH,) * prompts,
        prompt_tokens=prompts * tokens,
        completion_tokens=0,
        prompt_eval_ns=0,
        eval_ns=0,
    )


def resident_bytes() -> int:
    """Return the resident memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def measure(way: str, prompts: int, tokens: int) -> None:
    """Print the memory of one representation, and the longest time it blocks the event loop."""
    chunks = CompletionChunks(Heading("x", 0, "m", None), prompts, usage=False, logprobs=True)
    before, longest = resident_bytes(), 0.0
    kept: list[Event] = []
    for event in events(prompts, tokens):
        started = perf_counter()
        if way == "events":
            kept.append(event)
        else:
            chunks.collect(event)
        longest = max(longest, perf_counter() - started)
    used = resident_bytes() - before
    started = perf_counter()
    for event in kept:
        chunks.collect(event)
    size = sum(map(len, encode_pieces(chunks.to_response(Timing(datetime.now(UTC), 0)))))
    longest = max(longest, perf_counter() - started)
    megabyte = 10**6
    print(
        f"{way}: {used / megabyte:.1f} MB for a response of {size / megabyte:.1f} MB, "
        f"blocks for at most {longest * 1000:.1f} ms"
    )


def main() -> None:
    """Measure both representations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--way", choices=_WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way is not None:
        measure(options.way, options.prompts, options.tokens)
        return
    options_given = [f"--prompts={options.prompts}", f"--tokens={options.tokens}"]
    for way in _WAYS:
        subprocess.run([sys.executable, __file__, f"--way={way}", *options_given], check=True)


if __name__ == "__main__":
    main()
