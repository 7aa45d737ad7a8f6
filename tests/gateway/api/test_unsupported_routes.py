"""Routes that are refused by name."""

import asyncio
import json

import pytest

from gateway.fake_inference import fake_inference
from gateway.harness import running_gateway


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/api/pull", "decided by who runs this server"),
        ("POST", "/api/push", "decided by who runs this server"),
        ("POST", "/api/create", "decided by who runs this server"),
        ("POST", "/api/copy", "decided by who runs this server"),
        ("DELETE", "/api/delete", "decided by who runs this server"),
        ("POST", "/api/embed", "embeddings are not supported"),
        ("POST", "/api/embeddings", "embeddings are not supported"),
        ("POST", "/v1/embeddings", "embeddings are not supported"),
        ("POST", "/v1/responses", "use /v1/chat/completions"),
        ("POST", "/v1/messages", "use /v1/chat/completions"),
    ],
)
def test_a_route_that_is_not_served_says_so(method: str, path: str, said: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            url, body = gateway.url + path, b'{"model": "x"}'
            async with gateway.http.request(method, url, data=body) as response:
                assert response.status == 501
                error = json.loads(await response.text())["error"]
            text = error["message"] if path.startswith("/v1") else error
            assert path in text
            assert said in text

    asyncio.run(scenario())
