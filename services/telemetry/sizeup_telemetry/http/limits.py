"""Bounds of a single connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    stalled_write_seconds: float
    """Abort a connection whose client reads nothing for this long. An orderly close would wait for
    the client to read the 64 KiB of buffered output; only an abort frees them."""
    header_seconds: float
    """Time for sending the request line and the headers of a request."""
    body_idle_seconds: float = 10.0
    """Pause between two parts of a body; slow mobile networks need less."""
    header_bytes: int = 64 * 2**10
    """Of request line and headers; h11's default. Also of what is neither headers nor body: blank
    lines between requests, and chunk sizes, chunk extensions and trailers, of which two bytes are
    free for each byte of the body, as in Go's net/http; here a chunk counts 16 bytes more."""
    header_count: int = 128
    """Apache, hyper and Tomcat allow 100; each takes 200 bytes beside its text."""
    target_bytes: int = 16 * 2**10
    """Of the URL: twice what RFC 9110 (4.1) recommends to support."""
    lingering_idle_seconds: float = 5.0
    """After an early response, input is discarded until it pauses for this long, so that the client
    receives the response rather than a reset (RFC 9112, 9.6). nginx's defaults, like the next."""
    lingering_seconds: float = 30.0
