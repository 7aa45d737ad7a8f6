"""What became of a draft model's tokens, in the last event of a request."""

import asyncio

from inference.scripted import finished, request, scene
from sizeup_inference.engine.protocol import Admitted, Token
from sizeup_inference.requests.generation import accept, prepare


def test_draft_tokens_are_counted_until_the_end_of_each_choice() -> None:
    async def scenario() -> None:
        async with scene() as stage:
            prepared = await prepare(stage.model, request(stop=["c"]))
            with accept(stage.model, prepared) as generation:
                request_id = stage.engine.submitted[0].id
                tokens = [
                    Token(request_id, 0, ord("a"), 1000, draft_tokens=3, accepted=True),
                    Token(request_id, 0, ord("b"), 1000),
                    Token(request_id, 0, ord("b"), 1010, draft_tokens=3, accepted=True),
                    Token(request_id, 0, ord("c"), 1010, accepted=True),
                    Token(request_id, 0, ord("d"), 1010, accepted=True),
                ]
                stage.deliver(Admitted(request_id, 900), *tokens)
                end = finished(await stage.all_events(generation))
        assert (end.completion_tokens, end.draft_tokens, end.accepted_draft_tokens) == (4, 6, 3)

    asyncio.run(scenario())
