"""Two hundred concurrent streams, each with the same text as a single request."""

import asyncio
import time
from random import Random
from typing import Any

import aiohttp
import pytest

from system.deployment import Deployment
from system.models import TOY, TOY_ID
from system.requests import Question, chat, payloads, post, run, samples, text_of, text_of_stream

STREAMS = 200
QUESTIONS = 100
"""Each is sent once on its own, and twice concurrently with the others."""
TOKENS = 40
"""Long enough that the first streams still run when the last ones start."""
_SECONDS = 540
"""A hundred sequential responses take half a minute on a busy machine."""

_SUBJECTS = ("cat", "dog", "wolf", "cow", "bird", "fish", "horse", "mouse")


def _prompt(rng: Random) -> str:
    kinds = (
        f"What is {rng.randrange(1000)} + {rng.randrange(1000)}?",
        f"Count from {rng.randrange(10)} to {rng.randrange(20, 40)}.",
        f"Tell a story about a {rng.choice(_SUBJECTS)} with {rng.randrange(1000)} friends.",
        "Copy: " + " ".join(rng.choices(_SUBJECTS, k=rng.randrange(2, 60))),
        f"{rng.randrange(1000)} 加 {rng.randrange(1000)} 等于多少？🙂",
    )
    return rng.choice(kinds)


def make_question(number: int) -> Question:
    """Return one of the requests: greedy or seeded, in each of the four routes."""
    rng = Random(number)
    prompt = f"{_prompt(rng)} ({number})"
    sampling: dict[str, Any] = {"temperature": 0} if number % 2 else {"temperature": 1.2}
    sampling["seed"] = number
    options = {**sampling, "num_predict": TOKENS}
    endless = {**sampling, "max_tokens": TOKENS, "ignore_eos": True}
    return (
        Question("/api/chat", chat(TOY, prompt, options=options)),
        Question("/v1/chat/completions", chat(TOY, prompt, **endless)),
        Question("/api/generate", {"model": TOY, "prompt": prompt, "options": options}),
        Question("/v1/completions", {"model": TOY, "prompt": prompt, **endless}),
    )[number // 2 % 4]


async def _streamed(
    http: aiohttp.ClientSession, url: str, question: Question, all_started: asyncio.Barrier
) -> str:
    """Return a stream's text, read to its end after every stream has started."""
    async with http.post(url + question.path, json=question.with_stream(stream=True)) as response:
        parts: list[bytes] = []
        async for part in payloads(response):
            if not parts:
                await all_started.wait()
            parts.append(part)
    return text_of_stream(parts)


async def _shared_steps(http: aiohttp.ClientSession, url: str) -> float:
    """Count the engine's steps of more than one stream."""
    steps = await samples(http, url, "sizeup_inference_batch_size_bucket")
    return steps["le=+Inf"] - steps["le=1.0"]


@pytest.mark.timeout(_SECONDS + 60)
def test_two_hundred_concurrent_streams_equal_single_requests(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        questions = [make_question(number) for number in range(QUESTIONS)]
        start = time.monotonic()
        sequential = [
            text_of(
                await post(http, serving.url + question.path, question.with_stream(stream=False))
            )
            for question in questions
        ]
        sequential_seconds = time.monotonic() - start
        metrics = serving.inference_url(TOY_ID)
        before = await _shared_steps(http, metrics)
        start = time.monotonic()
        barrier = asyncio.Barrier(STREAMS)
        concurrent = await asyncio.gather(
            *(
                _streamed(http, serving.url, question, barrier)
                for question in [*questions, *questions]
            )
        )
        seconds = time.monotonic() - start
        shared = await _shared_steps(http, metrics) - before
        print(
            f"{STREAMS} streams: {seconds:.2f} s concurrent; "
            f"{QUESTIONS} sequentially: {sequential_seconds:.2f} s"
        )
        print(f"{shared:.0f} steps with more than one of them")
        assert list(concurrent) == [*sequential, *sequential]
        assert len(set(sequential)) > QUESTIONS / 2
        assert shared > 0

    run(scenario, _SECONDS)
