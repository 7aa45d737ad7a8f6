"""An engine that ends without a word, under requests in flight."""

import asyncio

import pytest

from inference.serving import running, text_prompt, until
from sizeup_inference.fake.engine import FakeLimits
from sizeup_wire import routes
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Failed, event_adapter


@pytest.mark.parametrize("draining", [False, True])
def test_an_engine_that_ended_without_delivering_anything_fails_its_requests(
    draining: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with running(FakeLimits(token_seconds=600.0, max_num_seqs=1)) as process:
            batch = {"prompts": [text_prompt("x")] * 20}
            async with process.stream(prompt=text_prompt("x")) as response:
                assert event_adapter.validate_json(await response.content.readline())
                queued = asyncio.create_task(process.post(routes.EMBEDDINGS, batch))
                await until(lambda: process.engine.stats().waiting > 0)
                process.drain.draining = draining
                monkeypatch.setattr(process.engine, "is_alive", lambda: False)
                event = event_adapter.validate_json(await response.content.readline())
            assert isinstance(event, Failed)
            assert event.code is ErrorCode.INTERNAL
            status, failure = await queued
            assert (status, failure["code"]) == (500, ErrorCode.INTERNAL)
            await until(lambda: process.fatal == ["fatal"])

    asyncio.run(scenario())
