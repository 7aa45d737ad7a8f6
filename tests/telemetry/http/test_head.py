import httptools
import pytest

from sizeup_telemetry.http import head
from sizeup_telemetry.http.head import RefusedError, Target
from sizeup_telemetry.http.refusal import Header

TE = b"transfer-encoding"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"/a%20b?q=%00", Target("/a b", b"/a%20b", b"q=%00")),
        (b"http://host/a?b", Target("/a", b"/a", b"b")),
        (b"http://host", Target("/", b"/", b"")),
        (b"//a", Target("//a", b"//a", b"")),
        (b"/%E4%B8%96", Target("/世", b"/%E4%B8%96", b"")),
    ],
)
def test_a_target_is_split(target: bytes, parts: Target) -> None:
    assert head.parse_target(target) == parts


@pytest.mark.parametrize(
    "target", [b"a", b"/%00", b"/a%0ab", b"/%7f", b"/%0D%0A", b"/%C2%85", b"/\xff", b"/\x01"]
)
def test_a_target_that_no_route_may_see_is_refused(target: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        head.parse_target(target)
    assert refused.value.refusal.status == 400


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        ("1.1", [(TE, b"gzip, chunked")], 400),
        ("1.1", [(TE, b"gzip"), (TE, b"chunked")], 400),
        ("1.1", [(TE, b"chunked"), (TE, b"chunked")], 400),
        ("1.1", [(TE, b"identity")], 400),
        ("1.0", [(TE, b"chunked")], 400),
        ("2.0", [], 400),
        ("0.9", [], 400),
    ],
)
def test_framing_that_is_not_implemented_is_refused(
    version: str, headers: list[Header], status: int
) -> None:
    with pytest.raises(RefusedError) as refused:
        head.check_framing(version, headers)
    assert refused.value.refusal.status == status


def test_chunks_are_implemented_and_have_no_length() -> None:
    headers = [(b"host", b"a"), (TE, b" Chunked ")]
    head.check_framing("1.1", headers)
    assert head.content_length(headers) is None
    assert head.content_length([(b"content-length", b"12")]) == 12
    assert head.content_length([]) == 0


@pytest.mark.parametrize(
    ("piece", "status"), [(b"\r\nBREW /pot HTTP/1.1", 405), (b"\x16\x03", 400), (b"A", 400)]
)
def test_an_unknown_method_is_not_allowed(piece: bytes, status: int) -> None:
    error = httptools.HttpParserInvalidMethodError("method")
    assert head.of_parser_error(error, piece).status == status


@pytest.mark.parametrize(
    ("target", "piece", "path"),
    [
        (b"/v1/models?x", b"", "/v1/models"),
        (b"HTTP://h/v1/models", b"", "/v1/models"),
        (b"", b"BREW /v1/pot HTTP/1.1", "/v1/pot"),
        (b"/%761/x", b"", "/v1/x"),
        (b"", b"\x16\x03", ""),
    ],
)
def test_the_path_of_a_refused_request(target: bytes, piece: bytes, path: str) -> None:
    assert head.path_of(target, piece) == path
