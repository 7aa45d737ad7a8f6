import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from sizeup_telemetry.request_id import HEADER, RequestIdMiddleware, current, of


def pass_through(given: bytes | None) -> tuple[str, str]:
    """Return the id inside the application and the one on the response."""
    seen: list[str] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(current.get())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if given is None else [(HEADER.lower().encode(), given)]
    scope = {"type": "http", "headers": headers}
    asyncio.run(RequestIdMiddleware(app)(scope, receive, send))
    (echoed,) = [value for name, value in sent[0]["headers"] if name == HEADER.lower().encode()]
    assert current.get() == ""
    return seen[0], echoed.decode()


def test_a_valid_id_is_kept_and_returned() -> None:
    assert pass_through(b"abc-1.2:3_x") == ("abc-1.2:3_x", "abc-1.2:3_x")


@pytest.mark.parametrize("given", [None, b"", b"a b", b"x" * 129, b'"}', b"a\xff"])
def test_a_missing_or_invalid_id_is_replaced(given: bytes | None) -> None:
    inside, echoed = pass_through(given)
    assert inside == echoed
    assert len(inside) == 32
    assert inside.encode() != given


def test_ids_are_unique() -> None:
    assert len({of(()) for _ in range(1000)}) == 1000


def test_other_scopes_pass_untouched() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing() -> Message:
        return {}

    async def no_send(_message: Message) -> None:
        return

    asyncio.run(RequestIdMiddleware(app)({"type": "lifespan"}, nothing, no_send))
    assert seen == [{"type": "lifespan"}]
