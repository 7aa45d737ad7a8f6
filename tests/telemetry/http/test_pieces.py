import pytest

from sizeup_telemetry.http.chunks import Chunks
from sizeup_telemetry.http.pieces import Pieces

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def all_lines(pieces: Pieces) -> list[bytes]:
    found = []
    while pieces:
        found.append(pieces.next_lines())
    return found


def test_a_piece_of_lines_ends_after_a_blank_line() -> None:
    pieces = Pieces()
    pieces.append(HEAD + HEAD + b"rest")
    assert all_lines(pieces) == [HEAD, HEAD, b"rest"]


@pytest.mark.parametrize("cut", range(1, len(HEAD)))
def test_a_blank_line_may_arrive_in_parts(cut: int) -> None:
    pieces = Pieces()
    pieces.append(HEAD[:cut])
    assert all_lines(pieces) == [HEAD[:cut]]
    pieces.append(HEAD[cut:] + HEAD)
    assert all_lines(pieces) == [HEAD[cut:], HEAD]


def test_a_body_ends_after_its_length() -> None:
    pieces = Pieces()
    pieces.append(b"a\r\n\r\nb" + HEAD)
    assert pieces.next_body(6) == b"a\r\n\r\nb"
    assert pieces.next_lines() == HEAD


def test_line_ends_before_a_request_are_dropped() -> None:
    pieces = Pieces()
    pieces.append(b"\r\n\n\r\n\r\n" + HEAD)
    assert pieces.drop_line_ends() == 7
    assert pieces.drop_line_ends() == 0
    assert pieces.next_lines() == HEAD


def test_pieces_are_small_and_complete() -> None:
    pieces, chunks = Pieces(), Chunks()
    pieces.append(b"x" * 70_000 + b"FFFFFF\r\n" + b"x" * 75_000)
    assert len(pieces.next_body(70_000)) == 65536
    assert len(pieces.next_body(4464)) == 4464
    assert len(pieces.next_chunks(chunks)) == 65536
    assert [len(piece) for piece in all_lines(pieces)] == [4096, 4096, 1280]


def test_cleared_input_is_gone() -> None:
    pieces = Pieces()
    pieces.append(HEAD)
    pieces.clear()
    assert not pieces
