import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest

from loadtest.fake_server import Kill, ReceivedRequest, Response, fake_server, status
from sizeup_loadtest.client.echo import NO_ECHO, UNKNOWN, echo_unsupported_reason
from sizeup_loadtest.config.servers import Server


def answer(found: object) -> Mapping[str, object]:
    return {"choices": [{"text": "one two three four", "logprobs": {"token_logprobs": found}}]}


async def reset(_: ReceivedRequest) -> AsyncIterator[bytes]:
    raise Kill
    yield b""


async def ask(response: Response) -> str | None:
    responses = {"/v1/completions": response}
    async with fake_server(**responses) as fake, aiohttp.ClientSession() as session:
        reason = await echo_unsupported_reason(session, Server(fake.url, "m"))
    body = fake.bodies("/v1/completions")[0]
    assert (body["model"], body["echo"], body["logprobs"]) == ("m", True, 1)
    return reason


def test_an_echo_has_a_logprob_for_every_token_but_the_first() -> None:
    assert asyncio.run(ask(status(200, answer([None, -1.5, -2, -0.5])))) is None


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (status(200, answer([-0.5])), ""),  # only the completion token: echo was ignored
        (status(200, answer([None, None, None, -0.5])), ""),  # echoed, but not scored
        (status(200, {"choices": [{"text": "four", "logprobs": None}]}), ""),
        (status(200, {"choices": []}), ""),
        (status(200, b"<html>"), ""),
        (status(400, {"error": {"message": "no echo here"}}), " (HTTP 400: no echo here)"),
        (status(404, {"error": "no such path"}), " (HTTP 404: no such path)"),
    ],
)
def test_a_server_that_rejects_or_ignores_echo_does_not_support_it(
    response: Response, words: str
) -> None:
    assert asyncio.run(ask(response)) == NO_ECHO + words


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (status(429, {"error": {"message": "later"}}), "HTTP 429: later"),
        (status(503, {"error": {"message": "no replica"}}), "HTTP 503: no replica"),
        (status(401, {"error": {"message": "no key"}}), "HTTP 401: no key"),
        (reset, "ServerDisconnectedError"),
    ],
)
def test_an_unrelated_error_leaves_echo_unknown(response: Response, words: str) -> None:
    assert (asyncio.run(ask(response)) or "").startswith(f"{UNKNOWN}: {words}")


def test_a_lost_connection_leaves_echo_unknown() -> None:
    async def ask_closed_port() -> str | None:
        async with aiohttp.ClientSession() as session:
            return await echo_unsupported_reason(session, Server("http://127.0.0.1:9", "m"))

    assert (asyncio.run(ask_closed_port()) or "").startswith(f"{UNKNOWN}: Client")
