"""What is refused by the request line and the headers of a request. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import httptools

from sizeup_telemetry.http.refusal import Header, Refusal

TARGET_TOO_LONG = Refusal(414, "the URL is too long")
HEADERS_TOO_LARGE = Refusal(431, "the request headers are too large")
TOO_MANY_HEADERS = Refusal(431, "the request has too many headers")
TOO_MUCH_FRAMING = Refusal(400, "the request has more chunk framing or trailers than body")
BLANK_LINES = Refusal(400, "too many blank lines before a request")
HEADER_TIMEOUT = Refusal(408, "the request headers were not received in time")
BODY_TIMEOUT = Refusal(408, "the request body was not received in time")
OVERLOADED = Refusal(503, "too many connections, please try again")
NO_TUNNEL = Refusal(400, "CONNECT is not supported")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REQUEST_LINE = re.compile(rb"[\r\n]*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) ([^\s]+)")
_SCHEME = re.compile(r"https?://[^/]*", re.IGNORECASE)


class RefusedError(Exception):
    """Raised in a callback of the parser, to end it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a request line, as ASGI names its parts."""

    path: str
    raw_path: bytes
    query: bytes


def parse_target(target: bytes) -> Target:
    """Split a target; raise RefusedError for one that no route may see.

    A control character would pass as part of a name, and end in a log, a header or a file name.
    """
    try:
        parsed = httptools.parse_url(target)
        raw_path: bytes = parsed.path or b"/"
        path = unquote(raw_path.decode("ascii"))
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise RefusedError(Refusal(400, "invalid URL")) from None
    if _CONTROL.search(path):
        raise RefusedError(Refusal(400, "the path has a control character"))
    return Target(path, raw_path, parsed.query or b"")


def check_framing(version: str, headers: Sequence[Header]) -> None:
    """Raise RefusedError for a version or a transfer coding that is not implemented.

    The parser itself decodes `gzip, chunked` as if it were `chunked`.
    """
    if version not in ("1.0", "1.1"):
        raise RefusedError(Refusal(400, "only HTTP/1.0 and HTTP/1.1 are supported"))
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and version == "1.0":
        raise RefusedError(Refusal(400, "HTTP/1.0 has no Transfer-Encoding"))
    if codings and codings != [b"chunked"]:
        raise RefusedError(Refusal(400, "the only supported Transfer-Encoding is chunked"))


def content_length(headers: Sequence[Header]) -> int | None:
    """Return the length of the body; None for a chunked one. The parser has validated both."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


def of_parser_error(error: httptools.HttpParserError, piece: bytes) -> Refusal:
    """Return the refusal of input that the parser rejects; `piece` is what it was given last."""
    if isinstance(error.__context__, RefusedError):
        return error.__context__.refusal
    line = _REQUEST_LINE.match(piece)
    if isinstance(error, httptools.HttpParserInvalidMethodError) and line is not None:
        return Refusal(405, f"method {line[1].decode()} is not allowed")
    return Refusal(400, f"invalid HTTP request: {error}")


def path_of(target: bytes, piece: bytes) -> str:
    """Return the path of a refused request, "" where it is unknown.

    `target` is empty when the parser has rejected the method; then the path is that in `piece`.
    """
    line = None if target else _REQUEST_LINE.match(piece)
    text = (line[2] if line else target).decode("latin-1")
    return unquote(_SCHEME.sub("", text).partition("?")[0])
