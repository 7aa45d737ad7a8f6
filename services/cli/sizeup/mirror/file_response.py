"""A file as a response, with errors in the shape of the hub."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send


class StreamedFile(FileResponse):
    chunk_size = 1 << 20
    """Larger chunks are not faster."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises HTTPException for a range that cannot be served: Starlette sends plain text."""

        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                raise HTTPException(message["status"], headers=_content_range(message))
            await send(message)

        await super().__call__(scope, receive, send_checked)


def _content_range(start: Message) -> dict[str, str]:
    """Return that of a 416: the size of the file."""
    found = Headers(raw=start["headers"]).get("Content-Range")
    return {} if found is None else {"Content-Range": found}
