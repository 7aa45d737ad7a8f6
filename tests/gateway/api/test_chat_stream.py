import asyncio
import json

from gateway.fake_inference import TOKENS, events, fake_inference, finished, started
from gateway.harness import MODEL, running_gateway
from sizeup_wire.events import Text

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


def test_a_chat_is_streamed_as_ndjson() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            status, headers, text = await gateway.post("/api/chat", BODY)
        assert status == 200
        assert headers["Content-Type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["message"]["content"] for line in lines] == [*TOKENS, ""]
        assert [line["done"] for line in lines] == [False] * len(TOKENS) + [True]
        assert {line["model"] for line in lines} == {MODEL}
        last = lines[-1]
        assert 0 < last["load_duration"] < last["total_duration"]
        assert {k: v for k, v in last.items() if k.endswith(("count", "duration"))} == {
            "total_duration": last["total_duration"],
            "load_duration": last["load_duration"],
            "prompt_eval_count": 7,
            "prompt_eval_duration": 342_546_000,
            "eval_count": len(TOKENS),
            "eval_duration": 4_535_599_000,
        }

    asyncio.run(scenario())


def test_the_counts_of_a_draft_model_are_in_the_last_object() -> None:
    async def scenario() -> None:
        drafts = {"draft_tokens": 5, "accepted_draft_tokens": 2}
        end = finished(1).model_copy(update=drafts)
        async with fake_inference(events(started(), end)) as fake, running_gateway(fake) as gateway:
            _, _, text = await gateway.post("/api/chat", BODY)
            _, _, whole = await gateway.post("/v1/chat/completions", BODY)
        last = json.loads(text.splitlines()[-1])
        assert (last["draft_count"], last["draft_accepted_count"]) == (5, 2)
        assert json.loads(whole)["usage"]["completion_tokens_details"] == {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 2,
            "rejected_prediction_tokens": 3,
        }

    asyncio.run(scenario())


def test_a_heartbeat_makes_no_chunk() -> None:
    async def scenario() -> None:
        silence = Text(text="", tokens=0)
        script = events(started(), silence, Text(text="a"), silence, finished(1))
        async with fake_inference(script) as fake, running_gateway(fake) as gateway:
            _, _, text = await gateway.post("/api/chat", BODY)
        contents = [json.loads(line)["message"]["content"] for line in text.splitlines()]
        assert contents == ["a", ""]

    asyncio.run(scenario())
