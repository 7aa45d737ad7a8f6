"""Whether a server echoes a prompt with its log-probabilities, as OpenAI's /v1/completions did."""

import aiohttp

from sizeup_loadtest.client.answer import UnreadableError, cut, mapping_of, parse
from sizeup_loadtest.client.refusal import refusal

ASK_SECONDS = 60.0
"""For one token; the model is loaded by now."""

NO_ECHO = "the server does not echo a prompt with its log-probabilities"
UNKNOWN = "whether the server echoes a prompt is not known"
_DOES_NOT = (400, 404)
"""Statuses of a server that knows no echo; any other says that it could not be asked."""


async def why_no_echo(session: aiohttp.ClientSession, url: str, model: str) -> str | None:
    """Ask for an echo: None when every token of the prompt but the first has its own, else why not.

    A server that ignores what it does not know does not echo; a busy one may.
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
            if response.status == 200:
                return None if _has_prompt(await response.read()) else NO_ECHO
            said = (await refusal(response))[1]
            return f"{NO_ECHO} ({said})" if response.status in _DOES_NOT else f"{UNKNOWN}: {said}"
    except UnreadableError:
        return NO_ECHO
    except TimeoutError:
        return f"{UNKNOWN}: no answer within {ASK_SECONDS:g} s"
    except (aiohttp.ClientError, OSError) as error:
        return cut(f"{UNKNOWN}: {type(error).__name__}: {error}")


def _has_prompt(data: bytes) -> bool:
    choices = mapping_of(parse(data)).get("choices")
    choice = mapping_of(choices[0]) if isinstance(choices, list) and choices else {}
    found = mapping_of(choice.get("logprobs")).get("token_logprobs")
    if not isinstance(found, list) or len(found) < 3 or found[0] is not None:
        return False
    return all(isinstance(value, int | float) for value in found[1:])
