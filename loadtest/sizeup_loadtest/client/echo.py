"""Whether a server echoes a prompt with its log-probabilities, as OpenAI's /v1/completions did."""

import aiohttp

from sizeup_loadtest.client.answer import UnreadableError, mapping_of, parse

ASK_SECONDS = 60.0
"""For one token; the model is loaded by now."""


async def echoes(session: aiohttp.ClientSession, url: str, model: str) -> bool:
    """Ask for an echo and tell whether every token of the prompt but the first has its own.

    A server that refuses, or that ignores what it does not know, does not.
    """
    asked = {
        "model": model,
        "prompt": "one two three",
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": 1,
        "echo": True,
    }
    timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
    try:
        async with session.post(f"{url}/v1/completions", json=asked, timeout=timeout) as response:
            return response.status == 200 and _has_prompt(await response.read())
    except (aiohttp.ClientError, TimeoutError, UnreadableError):
        return False


def _has_prompt(data: bytes) -> bool:
    choices = mapping_of(parse(data)).get("choices")
    choice = mapping_of(choices[0]) if isinstance(choices, list) and choices else {}
    found = mapping_of(choice.get("logprobs")).get("token_logprobs")
    if not isinstance(found, list) or len(found) < 3 or found[0] is not None:
        return False
    return all(isinstance(value, int | float) for value in found[1:])
