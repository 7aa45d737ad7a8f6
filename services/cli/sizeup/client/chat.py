"""`sizeup chat`: a conversation in the terminal."""

import asyncio
import contextlib
import sys
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from sizeup.client.gateway_client import connect
from sizeup.errors import SizeupError

_BYE = "/bye"
_PROMPT = ">>> "
_HELP = "Ctrl-C stops an answer; /bye or Ctrl-D leaves"


@dataclass
class Conversation:
    """The turns so far. An answer that was stopped stays as far as it came."""

    model: str
    options: Mapping[str, float]
    messages: list[dict[str, str]] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """Return the body of POST /api/chat for the next answer."""
        return {"model": self.model, "messages": self.messages, "options": dict(self.options)}


class Chat:
    """Read turns, stream answers, keep the conversation."""

    def __init__(
        self, conversation: Conversation, url: str, answer_seconds: float, console: Console
    ) -> None:
        """Prepare; run talks."""
        self._conversation = conversation
        self._url = url
        self._answer_seconds = answer_seconds
        self._console = console

    def run(self, read_turn: Callable[[], str]) -> bool:
        """Talk until the input ends; tell whether the last turn was answered.

        read_turn raises EOFError at the end and KeyboardInterrupt on Ctrl-C, as input() does.
        """
        answered = True
        while (turn := self._next_turn(read_turn)) is not None:
            if turn:
                answered = self._take(turn)
        return answered

    def _next_turn(self, read_turn: Callable[[], str]) -> str | None:
        try:
            turn = read_turn().strip()
        except KeyboardInterrupt:
            self._console.print(f"\n{_HELP}", style="dim")
            return ""
        except EOFError:
            return None
        return None if turn == _BYE else turn

    def _take(self, turn: str) -> bool:
        """Answer one turn; a failed turn is not part of the conversation."""
        messages = self._conversation.messages
        messages.append({"role": "user", "content": turn})
        said: list[str] = []
        answered = False
        try:
            asyncio.run(self._answer(said))  # turns Ctrl-C into a cancellation
            answered = True
        except KeyboardInterrupt:
            self._console.print(" (stopped)", style="dim")
        except SizeupError as error:
            print(f"sizeup: {error}", file=sys.stderr)
        if said:
            messages.append({"role": "assistant", "content": "".join(said)})
        else:
            messages.pop()
        return answered

    async def _answer(self, said: list[str]) -> None:
        async with connect(self._url, self._answer_seconds) as gateway:
            pieces = gateway.stream_chat(self._conversation.body())
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    text = str((piece.get("message") or {}).get("content") or "")
                    said.append(text)
                    self._console.file.write(printable(text))
                    self._console.file.flush()
        self._console.print(f"\n{speed(piece)}", style="dim", highlight=False)


def read_line() -> str:
    """Read a turn as input() does; with a prompt and line editing when a person types it."""
    if not sys.stdin.isatty():
        return input()
    with contextlib.suppress(ImportError):  # not on every system
        import readline  # noqa: F401  # importing it is what gives input() its arrow keys
    return input(_PROMPT)


def speed(last: Mapping[str, Any]) -> str:
    """Say how long an answer was and how fast it came, from its last piece."""
    tokens, nanoseconds = last.get("eval_count") or 0, last.get("eval_duration") or 0
    rate = f", {tokens / nanoseconds * 1e9:.1f} tokens/s" if nanoseconds else ""
    return f"{tokens} tokens{rate}"


def printable(text: str) -> str:
    """Drop control characters but newline and tab: a model must not steer the terminal."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")
