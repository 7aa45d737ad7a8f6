"""Request many concurrent streams from a running sizeup and verify every byte.

    python benchmarks/make_model.py /tmp/qwen1.5-0.5b-random
    sizeup up --models /tmp/qwen1.5-0.5b-random
    python benchmarks/streams.py --model qwen1.5-0.5b-random --folder /tmp/qwen1.5-0.5b-random

Prompts contain Chinese and emoji. Verified for each stream: prompt_tokens equals the count of the
model's own tokenizer, and the joined text equals the decoded bytes of the tokens, so that no
character was lost, duplicated or split.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI
from transformers import AutoTokenizer, PreTrainedTokenizerBase

QUESTIONS = (
    "请用一句话介绍北京。",
    "What does 👩‍👩‍👧‍👦 mean?",
    "把“你好，世界”翻译成英文 🙂",
    "Count: 一、二、三 … 🚀🚀🚀",
)


@dataclass(frozen=True, slots=True)
class Stream:
    """One response as received by a client."""

    text: str
    token_bytes: bytes
    prompt_tokens: int
    completion_tokens: int
    first_seconds: float


async def ask(client: AsyncOpenAI, model: str, question: str, seed: int, tokens: int) -> Stream:
    """Stream one response of exactly `tokens` tokens."""
    started, first = time.perf_counter(), 0.0
    text, data = [], bytearray()
    chunks = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
        seed=seed,
        temperature=1.0,
        max_tokens=tokens,
        logprobs=True,
        extra_body={"ignore_eos": True},
    )
    async for chunk in chunks:
        if chunk.usage is not None:
            usage = chunk.usage
        for choice in chunk.choices:
            first = first or time.perf_counter() - started
            text.append(choice.delta.content or "")
            for entry in (choice.logprobs and choice.logprobs.content) or ():
                data += bytes(entry.bytes or ())
    return Stream("".join(text), bytes(data), usage.prompt_tokens, usage.completion_tokens, first)


def check(stream: Stream, tokenizer: PreTrainedTokenizerBase, question: str, tokens: int) -> None:
    """Raise SystemExit for a stream with a wrong count or text."""
    turns = [{"role": "user", "content": question}]
    rendered = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    prompt = tokenizer.encode(str(rendered))
    special = {t: t.encode() for t in tokenizer.all_special_tokens}
    decoded = stream.token_bytes
    for token in special.values():
        decoded = decoded.replace(token, b"")
    pairs = {
        "prompt tokens": (stream.prompt_tokens, len(prompt)),
        "completion tokens": (stream.completion_tokens, tokens),
        "text": (stream.text, decoded.decode(errors="replace")),
    }
    mismatches = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if mismatches:
        raise SystemExit(f"{question!r}: {mismatches}")


async def run(args: argparse.Namespace) -> None:
    """Request all streams at once, verify each, and print the throughput."""
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    client = AsyncOpenAI(base_url=f"{args.url}/v1", api_key="none", timeout=1800, max_retries=0)
    prompts = [(QUESTIONS[i % len(QUESTIONS)], i) for i in range(args.streams)]
    started = time.perf_counter()
    streams = await asyncio.gather(
        *(ask(client, args.model, question, seed, args.tokens) for question, seed in prompts)
    )
    seconds = time.perf_counter() - started
    for (question, _), stream in zip(prompts, streams, strict=True):
        check(stream, tokenizer, question, args.tokens)
    first = sorted(s.first_seconds for s in streams)
    total = sum(s.completion_tokens for s in streams)
    print(
        f"{args.streams} streams complete, {total / seconds:.1f} tokens/s in total, median time to "
        f"first token {first[len(first) // 2]:.2f} s"
    )


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:11434")
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for its tokenizer")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
