"""`sizeup chat`: an interactive conversation in the terminal."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from sizeup.client.conversation import Conversation
from sizeup.client.gateway_client import connect
from sizeup.client.terminal_text import printable
from sizeup.errors import SizeupError

_BYE = "/bye"
_PROMPT = ">>> "
_HELP = "Ctrl-C stops the response; /bye or Ctrl-D exits"


class Chat:
    """Read messages, stream responses, keep the conversation."""

    def __init__(
        self, conversation: Conversation, url: str, response_seconds: float, console: Console
    ) -> None:
        self._conversation = conversation
        self._url = url
        self._response_seconds = response_seconds
        self._console = console

    def run(self, read_message: Callable[[], str]) -> bool:
        """Chat until the input ends; return whether the last response was complete.

        read_message raises EOFError at the end and KeyboardInterrupt on Ctrl-C, as input() does.
        """
        complete = True
        while (message := self._next_message(read_message)) is not None:
            if message:
                complete = self._respond(message)
        return complete

    def _next_message(self, read_message: Callable[[], str]) -> str | None:
        try:
            message = read_message().strip()
        except KeyboardInterrupt:
            self._console.print(f"\n{_HELP}", style="dim")
            return ""
        except EOFError:
            return None
        return None if message == _BYE else message

    def _respond(self, message: str) -> bool:
        """Stream one response; a message without a response is dropped from the conversation."""
        self._conversation.add("user", message)
        received: list[str] = []
        complete = False
        try:
            asyncio.run(self._stream(received))  # turns Ctrl-C into a cancellation
            complete = True
        except KeyboardInterrupt:
            self._console.print(" (stopped)", style="dim")
        except SizeupError as error:
            print(f"sizeup: {error}", file=sys.stderr)
        if received:
            self._conversation.add("assistant", "".join(received))
        else:
            self._conversation.messages.pop()
        return complete

    async def _stream(self, received: list[str]) -> None:
        async with connect(self._url, self._response_seconds) as gateway:
            chunks = gateway.stream_chat(self._conversation.body())
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    text = str((chunk.get("message") or {}).get("content") or "")
                    received.append(text)
                    self._console.file.write(printable(text))
                    self._console.file.flush()
        self._console.print(f"\n{speed(chunk)}", style="dim", highlight=False)


def read_line() -> str:
    """Read a line as input() does; with a prompt and line editing on a terminal."""
    if not sys.stdin.isatty():
        return input()
    with contextlib.suppress(ImportError):  # not on every platform
        import readline  # noqa: F401  # gives input() its arrow keys
    return input(_PROMPT)


def speed(last: Mapping[str, Any]) -> str:
    """Return the number of tokens and their rate, from the last chunk."""
    tokens, nanoseconds = last.get("eval_count") or 0, last.get("eval_duration") or 0
    rate = f", {tokens / nanoseconds * 1e9:.1f} tokens/s" if nanoseconds else ""
    return f"{tokens} tokens{rate}"
