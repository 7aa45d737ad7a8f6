"""Probe for OpenAI's `echo` with `logprobs` on /v1/completions, which loglikelihood tasks need."""

import aiohttp

from sizeup_loadtest.client.error_response import error_response
from sizeup_loadtest.client.response import MalformedResponseError, as_mapping, parse, shorten
from sizeup_loadtest.config.servers import Server

TIMEOUT_SECONDS = 60.0
"""For one token of a model that is already loaded."""

NO_ECHO = "the server does not support echo with logprobs"
UNKNOWN = "cannot determine whether the server supports echo"
_UNSUPPORTED = (400, 404)
"""Statuses of a server without echo; any other is inconclusive."""


async def echo_unsupported_reason(session: aiohttp.ClientSession, server: Server) -> str | None:
    """Request an echo: None when every prompt token but the first has a logprob, else the reason.

    A 200 without prompt logprobs means that the server ignores the parameter.
    """
    body = {
        "model": server.model,
        "prompt": "one two three",
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": 1,
        "echo": True,
    }
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with session.post(
            f"{server.url}/v1/completions",
            json=body,
            timeout=timeout,
            headers=server.request_headers,
            ssl=server.ssl,
        ) as response:
            if response.status == 200:
                return None if _has_prompt_logprobs(await response.read()) else NO_ECHO
            message = (await error_response(response)).message
            unsupported = response.status in _UNSUPPORTED
            return f"{NO_ECHO} ({message})" if unsupported else f"{UNKNOWN}: {message}"
    except MalformedResponseError:
        return NO_ECHO
    except TimeoutError:
        return f"{UNKNOWN}: no response within {TIMEOUT_SECONDS:g} s"
    except (aiohttp.ClientError, OSError) as error:
        return shorten(f"{UNKNOWN}: {type(error).__name__}: {error}")


def _has_prompt_logprobs(data: bytes) -> bool:
    choices = as_mapping(parse(data)).get("choices")
    choice = as_mapping(choices[0]) if isinstance(choices, list) and choices else {}
    logprobs = as_mapping(choice.get("logprobs")).get("token_logprobs")
    if not isinstance(logprobs, list) or len(logprobs) < 3 or logprobs[0] is not None:
        return False
    return all(isinstance(value, int | float) for value in logprobs[1:])
