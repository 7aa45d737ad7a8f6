"""Ask a running sizeup for many streams at once and check every byte of them.

    python benchmarks/make_model.py /tmp/qwen1.5-0.5b-random
    sizeup up --models /tmp/qwen1.5-0.5b-random
    python benchmarks/streams.py --model qwen1.5-0.5b-random --folder /tmp/qwen1.5-0.5b-random

Prompts hold Chinese and emoji. Checked for each stream: the server counted as many prompt tokens as
the model's own tokenizer; the pieces joined are the text that the tokens' bytes spell, so no
character was lost, doubled or cut.
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
    """One answer as a client saw it."""

    text: str
    token_bytes: bytes
    prompt_tokens: int
    completion_tokens: int
    first_seconds: float


async def ask(client: AsyncOpenAI, model: str, question: str, seed: int, tokens: int) -> Stream:
    """Stream one answer of exactly `tokens` tokens."""
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
    """Raise SystemExit where a stream is not what it should be."""
    turns = [{"role": "user", "content": question}]
    rendered = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    prompt = tokenizer.encode(str(rendered))
    special = {t: t.encode() for t in tokenizer.all_special_tokens}
    spelled = stream.token_bytes
    for token in special.values():
        spelled = spelled.replace(token, b"")
    facts = {
        "prompt tokens": (stream.prompt_tokens, len(prompt)),
        "completion tokens": (stream.completion_tokens, tokens),
        "text": (stream.text, spelled.decode(errors="replace")),
    }
    wrong = {name: pair for name, pair in facts.items() if pair[0] != pair[1]}
    if wrong:
        raise SystemExit(f"{question!r}: {wrong}")


async def run(args: argparse.Namespace) -> None:
    """Ask all at once, check each, and print how fast they came."""
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    client = AsyncOpenAI(base_url=f"{args.url}/v1", api_key="none", timeout=1800, max_retries=0)
    asked = [(QUESTIONS[i % len(QUESTIONS)], i) for i in range(args.streams)]
    started = time.perf_counter()
    streams = await asyncio.gather(
        *(ask(client, args.model, question, seed, args.tokens) for question, seed in asked)
    )
    seconds = time.perf_counter() - started
    for (question, _), stream in zip(asked, streams, strict=True):
        check(stream, tokenizer, question, args.tokens)
    first = sorted(s.first_seconds for s in streams)
    total = sum(s.completion_tokens for s in streams)
    print(
        f"{args.streams} streams whole; {total / seconds:.1f} tokens/s in all, first token after "
        f"{first[len(first) // 2]:.2f} s (median)"
    )


def main() -> None:
    """Read the command line and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:11434")
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for its tokenizer")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
