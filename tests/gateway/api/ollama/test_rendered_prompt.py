"""The prompt as the chat template renders it."""

import asyncio
import json

from gateway.fake_inference import fake_inference
from gateway.harness import MODEL, running_gateway, until

RENDERED = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "_debug_render_only": True,
}


def test_the_rendered_prompt_is_returned() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            chat = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
            for path, body in (
                ("/api/chat", chat),
                ("/api/generate", {"model": MODEL, "prompt": "x"}),
            ):
                _, _, text = await gateway.post(path, body | {"_debug_render_only": True})
                assert '"_debug_info":{"rendered_template":"<|im_start|>user"}' in text
        assert fake.requests == []

    asyncio.run(scenario())


def test_rendering_times_out_and_counts_as_a_request() -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(
                fake, first_event_seconds=0.5, probe_interval_seconds=60, max_in_flight=1
            ) as gateway,
        ):
            fake.hangs.set()
            pending = asyncio.create_task(gateway.post("/api/chat", RENDERED))
            await until(lambda: fake.live == 1)
            assert (await gateway.post("/api/chat", RENDERED))[0] == 503
            status, _, text = await pending
            assert (status, json.loads(text).keys()) == (504, {"error"})
            await until(lambda: fake.live == 0)

    asyncio.run(scenario())


def test_a_replica_that_dies_while_rendering_is_an_error_status() -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, probe_interval_seconds=60) as gateway,
        ):
            fake.hangs.set()
            pending = asyncio.create_task(gateway.post("/api/chat", RENDERED))
            await until(lambda: fake.live == 1)
            await fake.stop()
            status, _, text = await pending
            assert (status, json.loads(text).keys()) == (502, {"error"})

    asyncio.run(scenario())
