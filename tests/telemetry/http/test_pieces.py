import pytest

from sizeup_telemetry.http.pieces import Pieces

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def all_pieces(pieces: Pieces, length: int | None = None) -> list[bytes]:
    found = []
    while pieces:
        found.append(pieces.next(length))
    return found


def test_a_piece_ends_after_a_blank_line() -> None:
    pieces = Pieces()
    pieces.append(HEAD + HEAD + b"rest")
    assert all_pieces(pieces) == [HEAD, HEAD, b"rest"]


@pytest.mark.parametrize("cut", range(1, len(HEAD)))
def test_a_blank_line_may_arrive_in_parts(cut: int) -> None:
    pieces = Pieces()
    pieces.append(HEAD[:cut])
    assert all_pieces(pieces) == [HEAD[:cut]]
    pieces.append(HEAD[cut:] + HEAD)
    assert all_pieces(pieces) == [HEAD[cut:], HEAD]


def test_a_body_ends_after_its_length() -> None:
    pieces = Pieces()
    pieces.append(b"a\r\n\r\nb" + HEAD)
    assert pieces.next(6) == b"a\r\n\r\nb"
    assert pieces.next(None) == HEAD


def test_pieces_are_small_and_complete() -> None:
    pieces = Pieces()
    pieces.append(b"x" * 200_000)
    found = all_pieces(pieces)
    assert [len(piece) for piece in found] == [65536, 65536, 65536, 3392]


def test_cleared_input_is_gone() -> None:
    pieces = Pieces()
    pieces.append(HEAD)
    pieces.clear()
    assert not pieces
