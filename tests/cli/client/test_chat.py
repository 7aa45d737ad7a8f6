import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console

from cli.children import DEADLINE_SECONDS
from cli.client.fake_gateway import FakeGateway
from cli.command import Command
from sizeup.client.chat import Chat, speed
from sizeup.client.conversation import Conversation


def messages(*texts: str | type[BaseException]) -> Callable[[], str]:
    """Replace input(): return each text, raise each exception, then EOFError."""
    remaining: Iterator[str | type[BaseException]] = iter(texts)

    def read() -> str:
        message = next(remaining, EOFError)
        if isinstance(message, str):
            return message
        raise message

    return read


class Session:
    """A chat with a fake gateway, and its output."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.screen = io.StringIO()
        self.conversation = Conversation("toy:5m", None, {"seed": 1})
        console = Console(file=self.screen, width=80)
        self.chat = Chat(self.conversation, gateway.url, 10.0, console)


@pytest.fixture
def session(gateway: FakeGateway) -> Session:
    return Session(gateway)


def test_responses_are_streamed_and_the_history_is_sent(
    session: Session, gateway: FakeGateway
) -> None:
    assert session.chat.run(messages("What is 12 + 30?", "", "And then?"))
    assert session.screen.getvalue() == "42\n5 tokens, 10.0 tokens/s\n" * 2
    assert gateway.bodies[1]["stream"] is True
    assert gateway.bodies[1]["options"] == {"seed": 1}
    assert gateway.bodies[1]["messages"] == [
        {"role": "user", "content": "What is 12 + 30?"},
        {"role": "assistant", "content": "42"},
        {"role": "user", "content": "And then?"},
    ]


@pytest.mark.parametrize("end", ["/bye", EOFError])
def test_bye_and_the_end_of_input_exit(
    session: Session, gateway: FakeGateway, end: str | type[BaseException]
) -> None:
    assert session.chat.run(messages("one", end, "not sent"))
    assert len(gateway.bodies) == 1


def test_ctrl_c_at_the_prompt_shows_how_to_exit(session: Session, gateway: FakeGateway) -> None:
    assert session.chat.run(messages(KeyboardInterrupt, "one"))
    assert "/bye" in session.screen.getvalue()
    assert len(gateway.bodies) == 1


def test_ctrl_c_stops_the_response_but_not_the_conversation(
    session: Session, gateway: FakeGateway
) -> None:
    gateway.hold = threading.Event()

    def interrupt() -> None:
        gateway.first_sent.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    reads = 0

    def read() -> str:
        nonlocal reads
        reads += 1
        if reads == 1:
            interrupting.start()
            return "explain everything"
        if reads == 2:
            assert gateway.hold is not None
            gateway.hold.set()
            return "briefly"
        raise EOFError

    assert session.chat.run(read)
    interrupting.join(10)
    assert "(stopped)" in session.screen.getvalue()
    assert [message["role"] for message in gateway.bodies[1]["messages"]][-1] == "user"
    assert session.conversation.messages[-1] == {"role": "assistant", "content": "42"}


def test_a_failed_message_is_dropped_after_the_error(
    session: Session, gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.status, gateway.error = 503, "the model is loading"
    assert not session.chat.run(messages("one"))
    assert capsys.readouterr().err == "sizeup: the model is loading\n"
    assert session.conversation.messages == []


def test_a_truncated_stream_is_an_error(
    session: Session, gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.truncated = True
    assert not session.chat.run(messages("one"))
    assert "done=true" in capsys.readouterr().err


def test_control_characters_are_removed(session: Session, gateway: FakeGateway) -> None:
    gateway.chunks = ["\x1b[2J\x07", "safe\n\ttext\r\x9b"]
    session.chat.run(messages("one"))
    assert session.screen.getvalue().startswith("[2Jsafe\n\ttext\n")
    assert session.conversation.messages[-1]["content"] == "".join(gateway.chunks)


def test_speed_is_omitted_without_a_duration() -> None:
    assert speed({"eval_count": 1, "eval_duration": 0}) == "1 tokens"


def test_piped_input(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    done = Command(capsys, monkeypatch, "chat", "toy:5m", "--url", gateway.url)
    assert done.code == 0
    assert done.out == "42\n5 tokens, 10.0 tokens/s\n" * 2


def test_a_failed_last_message_is_the_exit_code(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n"))
    done = Command(capsys, monkeypatch, "chat", "toy:5m", "--url", "http://127.0.0.1:1")
    assert done.code == 1
    assert "make run" in done.err


def test_characters_missing_in_the_encoding_are_escaped(gateway: FakeGateway) -> None:
    gateway.chunks = ["你好"]
    ended = subprocess.run(
        [sys.executable, "-m", "sizeup", "chat", "m", "--url", gateway.url],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        input=b"hi\n",
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(rb"\u4f60\u597d")
