"""A request with several prompts, of which inference rejects one."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.fake_inference import Refusal, fake_inference, responding_with
from gateway.harness import MODEL, running_gateway
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest, TextPrompt


async def rejecting_empty(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    if isinstance(request.prompt, TextPrompt) and not request.prompt.text:
        raise Refusal(400, Failure(code=ErrorCode.INVALID_REQUEST, message="empty"))
    async for event in responding_with("a", "b")(request):
        yield event


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("prompts", [["x", "", "y"], ["x", "y", ""]])
def test_a_rejected_prompt_is_a_400_and_no_stream(prompts: list[str], stream: bool) -> None:
    async def scenario() -> None:
        async with fake_inference(rejecting_empty) as fake, running_gateway(fake) as gateway:
            body = {"model": MODEL, "prompt": prompts, "stream": stream}
            status, _, text = await gateway.post("/v1/completions", body)
            assert status == 400
            assert json.loads(text)["error"]["type"] == "invalid_request_error"
            body["prompt"] = ["x", "y"]
            status, _, text = await gateway.post("/v1/completions", body)
            assert status == 200

    asyncio.run(scenario())
