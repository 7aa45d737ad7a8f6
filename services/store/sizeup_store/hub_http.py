"""The HTTP client of huggingface_hub with limits and translated errors.

Errors never contain the text of httpx, which has URLs with tokens and signatures.
"""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx2

from sizeup_store.errors import HubResponseError, HubUnreachableError, InvalidOptionError, PullError

Cause = TypeVar("Cause", bound=BaseException)

IS_FILE = "sizeup.file"
"""Request extension: the body is a file, whose reader limits its size."""

_MAX_REDIRECTS = 5
"""The hub needs one or two; more is a loop."""
_CONNECT_SECONDS = 10.0
_MINIMUM_BYTES = 64 << 10
"""Minimum per silence_seconds: a response below this rate counts as silent."""
_JSON_BYTES = 16 << 20
"""Limit of everything but files: far above the description of thousands of files."""


class TransientError(HubUnreachableError):
    """A failure that is worth a retry."""

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        """Minimum wait that the server asks for."""


def retry_after_seconds(text: str, now: float) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3), 0 if it is invalid.

    It holds seconds or a date; `now` is the Unix time.
    """
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def http_client(endpoint: str, silence_seconds: float, ca_file: Path | None) -> httpx2.Client:
    """Return a client for one hub and its redirects; raises InvalidOptionError."""
    home = _checked(endpoint, f"the endpoint {endpoint!r} is not an http or https URL")

    def guard(request: httpx2.Request) -> None:
        """Never leave https, and keep the token from every host but the endpoint's."""
        if home.scheme == "https" and request.url.scheme != "https":
            raise HubResponseError(f"{home.host} redirects to {request.url.scheme}: not followed")
        if request.url.origin != home.origin:
            request.headers.pop("Authorization", None)

    def limit(response: httpx2.Response) -> None:
        is_file = response.is_success and IS_FILE in response.request.extensions
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _LimitedBody(
            response.stream, silence_seconds, None if is_file else _JSON_BYTES
        )

    return httpx2.Client(
        transport=_Transport(_trusted(ca_file)),
        timeout=httpx2.Timeout(silence_seconds, connect=_CONNECT_SECONDS),
        headers={"Accept-Encoding": "identity"},
        follow_redirects=True,
        max_redirects=_MAX_REDIRECTS,
        event_hooks={"request": [guard], "response": [limit]},
    )


class _Transport(httpx2.BaseTransport):
    """Connect through HTTP_PROXY or HTTPS_PROXY, except to the hosts of NO_PROXY.

    httpx itself reads ALL_PROXY too, and fails without an extra package if that is a SOCKS proxy.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._direct = httpx2.HTTPTransport(verify=context)
        self._by_scheme = {
            scheme: httpx2.HTTPTransport(verify=context, proxy=proxy)
            for scheme in ("http", "https")
            if (proxy := _proxy(scheme))
        }

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        proxied = self._by_scheme.get(request.url.scheme, self._direct)
        direct = proxy_bypass(request.url.host)
        return (self._direct if direct else proxied).handle_request(request)

    def close(self) -> None:
        for transport in (self._direct, *self._by_scheme.values()):
            transport.close()


def _proxy(scheme: str) -> httpx2.URL | None:
    """Return the proxy of the environment for a scheme; raises InvalidOptionError."""
    text = getproxies().get(scheme)
    if not text:
        return None
    text = text if "://" in text else f"http://{text}"
    return _checked(text, f"the proxy of {scheme.upper()}_PROXY is not an http URL")


class _LimitedBody(httpx2.SyncByteStream):
    """A response body that must keep a minimum rate and end within a number of bytes."""

    def __init__(
        self, stream: httpx2.SyncByteStream, silence_seconds: float, limit: int | None
    ) -> None:
        self._stream = stream
        self._silence_seconds = silence_seconds
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        """Count the time spent waiting for the server, not the time of a slow disk."""
        chunks, waited, recent, total = iter(self._stream), 0.0, 0, 0
        while True:
            begin = time.monotonic()
            chunk = next(chunks, None)
            if chunk is None:
                return
            waited += time.monotonic() - begin
            recent, total = recent + len(chunk), total + len(chunk)
            if recent >= _MINIMUM_BYTES:
                waited, recent = 0.0, 0
            if waited > self._silence_seconds:
                raise httpx2.ReadTimeout("below the minimum rate")
            if self._limit is not None and total > self._limit:
                raise HubResponseError(f"a response has more than {self._limit} bytes")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _checked(text: str, problem: str) -> httpx2.URL:
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidOptionError(problem)
    return url


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()  # the system's certificates, or SSL_CERT_FILE's
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidOptionError(f"SIZEUP_CA_FILE {ca_file}: no PEM certificates") from error
    return context


def request_error(error: httpx2.RequestError, silence_seconds: float) -> PullError:
    """Translate a failed exchange, without httpx's text, which has URLs with secrets."""
    url = error.request.url
    if isinstance(error, httpx2.TimeoutException):
        return TransientError(f"{url.host} was silent or too slow for {silence_seconds:g} s")
    if (certificate := _cause(error, ssl.SSLCertVerificationError)) is not None:
        return HubResponseError(
            f"{url.host} has an untrusted certificate ({certificate.verify_message}); "
            "set SIZEUP_CA_FILE to its authority's"
        )
    if isinstance(error, httpx2.ProxyError):
        return HubResponseError(f"the proxy for {url.host} failed: {error}")
    if isinstance(error, httpx2.NetworkError):
        return TransientError(f"cannot connect to {_peer(url)}: {_reason(error)}")
    if isinstance(error, httpx2.RemoteProtocolError) and _was_closed(error):
        return TransientError(f"{url.host} closed the connection early")
    if isinstance(error, httpx2.TooManyRedirects):
        return HubResponseError(f"{shown(url)}: more than {_MAX_REDIRECTS} redirects")
    return HubResponseError(f"{url.host} did not speak HTTP: {type(error).__name__}")


def _cause(error: BaseException, kind: type[Cause]) -> Cause | None:
    """Return the exception of a kind in the chain below an error."""
    below: BaseException | None = error
    while below is not None and not isinstance(below, kind):
        below = below.__cause__ or below.__context__
    return below


def _was_closed(error: httpx2.RemoteProtocolError) -> bool:
    """Distinguish an early end from bytes that are not HTTP; httpx has one class for both."""
    return str(error).startswith(("peer closed", "Server disconnected"))


def _peer(url: httpx2.URL) -> str:
    """Return the host of a connection, or its proxy without the password."""
    proxy = None if proxy_bypass(url.host) else _proxy(url.scheme)
    return f"the proxy {proxy.host}:{proxy.port}" if proxy else url.host


def _reason(error: httpx2.NetworkError) -> str:
    system = _cause(error, OSError)
    return (system.strerror if system else None) or type(error).__name__


def shown(url: httpx2.URL) -> str:
    """Return a URL for messages: user and query may be secrets."""
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}{url.path}"
