"""Whether a server says a prompt's log-probabilities, told from what it answers."""

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest

from loadtest.fake_server import Reply, fake_server, status
from sizeup_loadtest.client.echo import echoes


def answer(found: object) -> Mapping[str, object]:
    return {"choices": [{"text": "one two three four", "logprobs": {"token_logprobs": found}}]}


async def ask(reply: Reply) -> bool:
    replies = {"/v1/completions": reply}
    async with fake_server(**replies) as fake, aiohttp.ClientSession() as session:
        said = await echoes(session, fake.url, "m")
    (body,) = fake.bodies("/v1/completions")
    assert (body["model"], body["echo"], body["logprobs"]) == ("m", True, 1)
    return said


@pytest.mark.parametrize(
    ("reply", "does"),
    [
        (status(200, answer([None, -1.5, -2, -0.5])), True),
        (status(200, answer([-0.5])), False),  # only the answer's token: echo was ignored
        (status(200, answer([None, None, None, -0.5])), False),  # echoed, but not scored
        (status(200, {"choices": [{"text": "four", "logprobs": None}]}), False),
        (status(200, {"choices": []}), False),
        (status(200, b"<html>"), False),
        (status(400, {"error": {"message": "echo is not available"}}), False),
        (status(404, {}), False),
    ],
)
def test_an_echo_has_a_value_for_every_token_but_the_first(reply: Reply, does: bool) -> None:
    assert asyncio.run(ask(reply)) is does


def test_a_server_that_is_gone_does_not() -> None:
    async def gone() -> bool:
        async with aiohttp.ClientSession() as session:
            return await echoes(session, "http://127.0.0.1:9", "m")

    assert not asyncio.run(gone())
