"""uvicorn's request and response, with responses of ours where it has plain text."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sizeup_telemetry import request_id
from sizeup_telemetry.http.refusal import INTERNAL_ERROR, Refuse


class Cycle(RequestResponseCycle):
    """One request and its response."""

    def __init__(self, refuse: Refuse, **options: Any) -> None:
        """`options` are uvicorn's; `transport` is the connection."""
        super().__init__(**options)
        self._refuse = refuse

    async def send_500_response(self) -> None:
        """Respond to a request whose application has failed without a response."""
        response = self._refuse(self.scope["path"], INTERNAL_ERROR)
        response.headers[request_id.HEADER] = request_id.of(self.scope["headers"])
        response.headers["Connection"] = "close"
        scope, receive, send = self.scope, self.receive, self.send
        await response(scope, receive, send)  # type: ignore[arg-type]  # uvicorn's types

    def disconnect(self) -> None:
        """Let the application see that the client is gone, and drop what it still sends."""
        self.disconnected = True
        self.message_event.set()


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
