"""Two hundred people at one time, each of whom gets the answer they would get alone."""

import asyncio
import time
from random import Random
from typing import Any

import aiohttp
import pytest

from system.asking import Question, chat, payloads, post, run, samples, text_of, text_of_stream
from system.deployment import Deployment
from system.models import TOY, TOY_ID

STREAMS = 200
QUESTIONS = 100
"""Each is asked alone once, and twice among the others."""
TOKENS = 40
"""Long enough that the first answers are still being written when the last begin."""
TOGETHER = 16
"""Some steps have more of them than this, or they were not served simultaneously."""

_SECONDS = 540
"""A hundred answers one after the other take half a minute on a machine with other work."""

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


def question(number: int) -> Question:
    """Make one of the requests: greedy or seeded, in each of the four routes."""
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
    http: aiohttp.ClientSession, url: str, asked: Question, all_begun: asyncio.Barrier
) -> str:
    """Return a stream's text, read to its end only once every stream has begun."""
    async with http.post(url + asked.path, json=asked.sent(stream=True)) as response:
        parts: list[bytes] = []
        async for part in payloads(response):
            if not parts:
                await all_begun.wait()
            parts.append(part)
    return text_of_stream(parts)


async def _large_steps(http: aiohttp.ClientSession, url: str) -> float:
    steps = await samples(http, url, "sizeup_inference_batch_size_bucket")
    return steps["le=+Inf"] - steps[f"le={TOGETHER:.1f}"]


@pytest.mark.timeout(_SECONDS + 60)
def test_two_hundred_streams_together_say_what_each_says_alone(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        questions = [question(number) for number in range(QUESTIONS)]
        begun = time.monotonic()
        alone = [
            text_of(await post(http, serving.url + asked.path, asked.sent(stream=False)))
            for asked in questions
        ]
        one_by_one = time.monotonic() - begun
        metrics = serving.inference_url(TOY_ID)
        before = await _large_steps(http, metrics)
        begun = time.monotonic()
        barrier = asyncio.Barrier(STREAMS)
        together = await asyncio.gather(
            *(_streamed(http, serving.url, asked, barrier) for asked in [*questions, *questions])
        )
        seconds = time.monotonic() - begun
        large = await _large_steps(http, metrics) - before
        print(
            f"{STREAMS} streams: {seconds:.2f} s together; "
            f"{QUESTIONS} one by one: {one_by_one:.2f} s"
        )
        print(f"{large:.0f} steps with more than {TOGETHER} of them")
        assert list(together) == [*alone, *alone]
        assert len(set(alone)) > QUESTIONS / 2
        assert large > 0

    run(scenario, _SECONDS)
