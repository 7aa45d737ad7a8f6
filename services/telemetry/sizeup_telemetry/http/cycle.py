"""uvicorn's request and response, with responses of ours where it has plain text."""

from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sizeup_telemetry import request_id
from sizeup_telemetry.http.refusal import INTERNAL_ERROR, RefusalResponse, Refuse, asgi_headers


class Connection(Protocol):
    """What a response needs of its connection."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def is_closing(self) -> bool: ...


class Cycle(RequestResponseCycle):
    """One request and its response."""

    def __init__(self, connection: Connection, refuse: Refuse, **options: Any) -> None:
        """`options` are uvicorn's."""
        super().__init__(transport=connection, **options)  # type: ignore[arg-type]
        self._refuse = refuse

    async def send_500_response(self) -> None:
        """Respond to a request whose application has failed without a response."""
        response = self._refuse(self.scope["path"], INTERNAL_ERROR)
        headers = asgi_headers(response, request_id.of(self.scope["headers"]))
        await self.send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": response.body})

    def disconnect(self) -> None:
        """Let the application see that the client is gone, and drop what it still sends."""
        self.disconnected = True
        self.message_event.set()


def refuse_with(response: RefusalResponse, id: str) -> ASGIApp:
    """Return an application that sends a refusal, after which the connection may be kept."""

    async def run(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = asgi_headers(response, id, closes=False)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    return run


def without_chunks(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """End a response of unknown length by closing the connection, as uvicorn does in HTTP/1.0.

    It has no chunked encoding, and is what nginx speaks to its upstreams by default.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        is_unsized = False

        async def send_unchunked(message: Message) -> None:
            nonlocal is_unsized
            if message["type"] == "http.response.start":
                names = [name.lower() for name, _ in message.get("headers", ())]
                is_unsized = b"content-length" not in names
            if is_unsized:  # any length is the one that uvicorn expects
                cycle.chunked_encoding = False
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return run
