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
from sizeup.client.chat import Chat, Conversation, printable, speed


def turns(*texts: str | type[BaseException]) -> Callable[[], str]:
    """Stand in for input(): give each text, raise each exception, then end."""
    left: Iterator[str | type[BaseException]] = iter(texts)

    def read() -> str:
        turn = next(left, EOFError)
        if isinstance(turn, str):
            return turn
        raise turn

    return read


class Talk:
    """A chat with a fake gateway, and what it showed."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.screen = io.StringIO()
        self.conversation = Conversation("toy:5m", {"seed": 1})
        console = Console(file=self.screen, width=80)
        self.chat = Chat(self.conversation, gateway.url, 10.0, console)


@pytest.fixture
def talk(gateway: FakeGateway) -> Talk:
    return Talk(gateway)


def test_answers_are_streamed_and_the_history_is_kept(talk: Talk, gateway: FakeGateway) -> None:
    assert talk.chat.run(turns("What is 12 + 30?", "", "And then?"))
    assert talk.screen.getvalue() == "42\n5 tokens, 10.0 tokens/s\n" * 2
    assert gateway.bodies[1]["stream"] is True
    assert gateway.bodies[1]["options"] == {"seed": 1}
    assert gateway.bodies[1]["messages"] == [
        {"role": "user", "content": "What is 12 + 30?"},
        {"role": "assistant", "content": "42"},
        {"role": "user", "content": "And then?"},
    ]


@pytest.mark.parametrize("leave", ["/bye", EOFError])
def test_bye_and_the_end_of_input_leave(
    talk: Talk, gateway: FakeGateway, leave: str | type[BaseException]
) -> None:
    assert talk.chat.run(turns("one", leave, "never asked"))
    assert len(gateway.bodies) == 1


def test_ctrl_c_between_turns_says_how_to_leave(talk: Talk, gateway: FakeGateway) -> None:
    assert talk.chat.run(turns(KeyboardInterrupt, "one"))
    assert "/bye" in talk.screen.getvalue()
    assert len(gateway.bodies) == 1


def test_ctrl_c_stops_the_answer_and_the_conversation_goes_on(
    talk: Talk, gateway: FakeGateway
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
            return "tell me all"
        if reads == 2:
            assert gateway.hold is not None
            gateway.hold.set()
            return "briefly"
        raise EOFError

    assert talk.chat.run(read)
    interrupting.join(10)
    assert "(stopped)" in talk.screen.getvalue()
    assert [message["role"] for message in gateway.bodies[1]["messages"]][-1] == "user"
    assert talk.conversation.messages[-1] == {"role": "assistant", "content": "42"}


def test_an_error_is_told_and_the_turn_forgotten(
    talk: Talk, gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.status, gateway.error = 503, "the model is loading"
    assert not talk.chat.run(turns("one"))
    assert capsys.readouterr().err == "sizeup: the model is loading\n"
    assert talk.conversation.messages == []


def test_a_cut_answer_is_told(
    talk: Talk, gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.cut = True
    assert not talk.chat.run(turns("one"))
    assert "cut before its end" in capsys.readouterr().err


def test_a_model_cannot_steer_the_terminal(talk: Talk, gateway: FakeGateway) -> None:
    gateway.pieces = ["\x1b[2J\x07", "safe\n\ttext\r\x9b"]
    talk.chat.run(turns("one"))
    assert talk.screen.getvalue().startswith("[2Jsafe\n\ttext\n")
    assert talk.conversation.messages[-1]["content"] == "".join(gateway.pieces)


def test_printable_keeps_every_script_and_emoji() -> None:
    assert printable("你好 👩‍👩‍👧 é\u0301") == "你好 👩‍👩‍👧 é\u0301"


def test_speed_is_left_out_when_nothing_was_measured() -> None:
    assert speed({"eval_count": 1, "eval_duration": 0}) == "1 tokens"


def test_it_reads_piped_input(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    done = Command(capsys, monkeypatch, "chat", "toy:5m", "--url", gateway.url)
    assert done.code == 0
    assert done.out == "42\n5 tokens, 10.0 tokens/s\n" * 2


def test_a_failed_last_turn_is_the_exit_code(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n"))
    done = Command(capsys, monkeypatch, "chat", "toy:5m", "--url", "http://127.0.0.1:1")
    assert done.code == 1
    assert "make run" in done.err


def test_letters_the_terminal_does_not_know_are_escaped(gateway: FakeGateway) -> None:
    gateway.pieces = ["你好"]
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
