"""A 200 that is no stream, and redirects: named by what they are."""

import gzip
from collections.abc import AsyncIterator

import pytest

from loadtest.client.sending import send
from loadtest.fake_server import ReceivedRequest, Response, line, openai_answer
from sizeup_loadtest.data.record import Api, Outcome

HTML = b"<html>\n<title>login</title>" + b"x" * 999


def whole(body: bytes, content_type: str, status: str = "200 OK", more: str = "") -> Response:
    async def response(_: ReceivedRequest) -> AsyncIterator[bytes]:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{more}"
        yield f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    return response


@pytest.mark.parametrize("api", ["openai", "ollama"])
@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (HTML, "text/html", "text/html: <html> <title>login</title>"),
        (b'{"id": "x", "choices": []}', "application/json", 'application/json: {"id": "x"'),
        (b"", "text/event-stream", "an empty response (text/event-stream)"),
        (gzip.compress(b"data: x", mtime=0), "text/event-stream", "gzip"),
        (b"\xff\xfe", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_what_is_no_stream_is_named(api: Api, body: bytes, content_type: str, words: str) -> None:
    record = send(whole(body, content_type), api)
    assert record.outcome is Outcome.FAILED
    assert words in record.error
    assert len(record.error) < 250


OLLAMA_LINE = line({"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": False})


@pytest.mark.parametrize(
    ("asked", "body"), [("openai", OLLAMA_LINE), ("ollama", b"".join(openai_answer()))]
)
def test_the_other_api_is_no_stream(asked: Api, body: bytes) -> None:
    record = send(whole(body, "text/plain"), asked)
    assert record.outcome is Outcome.FAILED
    assert record.error.startswith("not ")
    assert body[:20].decode().split()[0] in record.error


def test_compression_is_declined_and_understood() -> None:
    body = gzip.compress(b"".join(openai_answer()))
    record = send(whole(body, "text/event-stream", more="Content-Encoding: gzip\r\n"))
    assert (record.outcome, record.text) == (Outcome.OK, "one two three")


def test_a_redirect_is_not_followed() -> None:
    to = "Location: https://login.example/?next=1\r\n"
    record = send(whole(b"<html>", "text/html", "302 Found", to))
    assert (record.outcome, record.error) == (
        Outcome.REFUSED,
        "HTTP 302: redirect to https://login.example/?next=1",
    )
