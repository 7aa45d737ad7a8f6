"""Requests that never reach the application are answered, counted and logged like any other."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.fake_inference import fake_inference
from gateway.harness import Gateway, running_gateway

DIALECTS = {"/api/chat": {"error"}, "/v1/models": {"error"}, "/v1/messages": {"type", "error"}}
"""The fields of an error, beside Anthropic's request_id."""

REFUSED = {
    "bad header": ("GET {path} HTTP/1.1\r\nHost: a\r\na b: c\r\n\r\n", 400),
    "two lengths": ("POST {path} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    "coding": ("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    "method": ("BREW {path} HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "url": ("GET {path}?{long} HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "headers": ("GET {path} HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n", 431),
    "control character": ("GET {path}/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
}


async def exchange(gateway: Gateway, raw: bytes) -> tuple[int, Mapping[str, str], Any]:
    """Send bytes; return status, headers and body of the response, after which it closes."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_has_the_shape_of_the_dialect(raw: str, status: int, path: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            request = raw.format(path=path, long="x" * 70_000).encode()
            found, headers, body = await exchange(gateway, request)
        assert found == status
        assert body.keys() - {"request_id"} == DIALECTS[path]
        assert headers["connection"] == "close"
        if path == "/v1/messages":
            assert body["request_id"] == headers["x-request-id"] == headers["request-id"]

    asyncio.run(scenario())


def test_a_refusal_is_counted() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            await exchange(gateway, b"GET /api/chat HTTP/1.1\r\na b: c\r\n\r\n")
            labels = {"model": "unknown", "route": "/api/chat", "outcome": "invalid_request"}
            assert gateway.sample("requests_total", **labels) == 1

    asyncio.run(scenario())


def test_an_unknown_method_of_an_unknown_path_is_a_404() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            status, _, _ = await exchange(gateway, b"BREW /coffee HTTP/1.1\r\nHost: a\r\n\r\n")
            assert status == 404

    asyncio.run(scenario())


@pytest.mark.parametrize("path", DIALECTS)
def test_a_body_that_stops_being_http_is_refused(path: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            status, _, body = await exchange(gateway, head.encode() + b"2\r\n{}\r\nx")
        assert status in (400, 405)  # the latter before the body
        assert body.keys() - {"request_id"} == DIALECTS[path]

    asyncio.run(scenario())


def test_plain_text_of_libraries_is_replaced() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            asks = {"Origin": "http://localhost", "Access-Control-Request-Method": "PUT"}
            for method, path, headers, expected in (
                ("OPTIONS", "/api/chat", asks, 400),
                ("GET", "/docs/swagger-ui.css", {"Range": "bytes=99999999-"}, 416),
                ("GET", "/docs/swagger-ui.css", {"Range": "bytes=x"}, 400),
            ):
                url = gateway.url + path
                async with gateway.http.request(method, url, headers=headers) as response:
                    assert response.status == expected
                    assert set(await response.json()) == {"error"}

    asyncio.run(scenario())
