"""`sizeup compare` on a pseudo-terminal."""

import signal

import pytest
from rich.cells import cell_len

from cli.children import DEADLINE_SECONDS
from cli.client.compare.fake_compare import CompareGateway, Hold
from cli.client.compare.script import (
    DEAD,
    HOSTILE,
    HOSTILE_SHOWN,
    SIZES,
    answered,
    finish,
    header,
    last,
    status,
    text,
)
from cli.client.compare.terminal import ENTER_SCREEN, LEAVE_SCREEN, Terminal, terminal

ARGUMENTS = ("compare", "What is 12 + 30?", "--url")


def assert_frames_fit(shown: Terminal, width: int, height: int) -> None:
    frames = shown.frames()
    assert frames
    for frame in frames:
        assert len(frame) <= height
        assert [line for line in frame if cell_len(line) > width] == []


@pytest.mark.parametrize(("width", "height"), [(40, 24), (80, 24), (200, 50), (20, 6)])
def test_live_columns_fit_and_the_answers_remain(
    comparing: CompareGateway, width: int, height: int
) -> None:
    hold = Hold()
    script = answered()
    comparing.script = [*script[:-4], hold, *script[-4:]]
    with terminal(*ARGUMENTS, comparing.url, columns=width, lines=height) as shown:
        shown.read_until("toy:5m")
        hold.release()
        assert shown.finish() == 0
    assert_frames_fit(shown, width, height)
    remains = shown.remains()
    assert remains.count("It is 42.") == 3
    assert "toy:0.5m is the smallest size" in remains


def test_columns_stand_side_by_side(comparing: CompareGateway) -> None:
    hold = Hold()
    comparing.script = [header(*SIZES), *(text(size, "4") for size in SIZES), hold, last()]
    with terminal(*ARGUMENTS, comparing.url, columns=200) as shown:
        shown.read_until("TTFT")
        hold.release()
        assert shown.finish() == 1
    names = shown.frames()[-1][1]
    assert all(f"{size} " in names for size in SIZES)


def test_a_resize_rearranges_the_columns(comparing: CompareGateway) -> None:
    hold = Hold()
    comparing.script = [header(*SIZES), *(status(size, "queued") for size in SIZES), hold]
    with terminal(*ARGUMENTS, comparing.url, columns=200, lines=40) as shown:
        shown.read_until("toy:5m")
        shown.resize(40, 10)
        shown.read_until("toy:5m: queued", len(shown.output))
        begin = len(shown.output)
        shown.read_until("toy:5m: queued", begin)
        hold.release()
        assert shown.finish() == 1
    last_frame = shown.frames()[-1]
    assert len(last_frame) <= 10
    assert max(map(cell_len, last_frame)) <= 40
    assert shown.output.count(ENTER_SCREEN) == shown.output.count(LEAVE_SCREEN) == 1
    assert "the stream ended before its last line" in shown.remains()


def test_ctrl_c_restores_the_terminal_and_prints_what_has_arrived(
    comparing: CompareGateway,
) -> None:
    comparing.script = [header("a", "b"), finish("a", "42"), text("b", "so far"), Hold()]
    with terminal(*ARGUMENTS, comparing.url) as shown:
        shown.read_until("so far")
        shown.process.send_signal(signal.SIGINT)
        assert shown.finish() == 130
    assert comparing.cancelled.wait(DEADLINE_SECONDS)
    assert "42" in shown.remains()
    assert "so far" in shown.remains()
    assert "Traceback" not in shown.output
    assert "\x1b[?25h" in shown.output


def test_failures_are_columns_and_lines(comparing: CompareGateway) -> None:
    comparing.script = DEAD
    with terminal(*ARGUMENTS, comparing.url) as shown:
        assert shown.finish() == 1
    assert "sizeup: toy:2m: the replica exited" in shown.remains()


def test_an_error_before_the_stream_needs_no_screen(comparing: CompareGateway) -> None:
    comparing.status, comparing.error = 404, "model 'b' not found"
    with terminal(*ARGUMENTS, comparing.url) as shown:
        assert shown.finish() == 1
    assert shown.output == "sizeup: model 'b' not found\r\n"


def test_hostile_text_does_not_control_the_terminal(comparing: CompareGateway) -> None:
    hold = Hold()
    comparing.script = [header("a"), text("a", HOSTILE), hold, finish("a", HOSTILE), last()]
    with terminal(*ARGUMENTS, comparing.url) as shown:
        shown.read_until("overtaken")
        hold.release()
        assert shown.finish() == 0
    assert HOSTILE_SHOWN in shown.remains()
    assert "\x1b[2J" not in shown.output
    assert not {"\x07", "\x9b", "\u202e"} & set(shown.output)


def test_no_color(comparing: CompareGateway) -> None:
    with terminal(*ARGUMENTS, comparing.url, NO_COLOR="1") as shown:
        assert shown.finish() == 0
    assert "\x1b[3" not in shown.output


def test_a_dumb_terminal_gets_plain_lines(comparing: CompareGateway) -> None:
    with terminal(*ARGUMENTS, comparing.url, TERM="dumb") as shown:
        assert shown.finish() == 0
    assert shown.output.startswith("toy:0.5m: It is 42.\r\n")
    assert "\x1b" not in shown.output
