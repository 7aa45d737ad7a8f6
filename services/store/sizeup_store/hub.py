"""HTTP to the Hugging Face Hub: huggingface_hub with deadlines, retries and one error tree.

huggingface_hub resolves the token, describes repositories and classifies error responses. It does
not download the files: its `http_get` loses up to 10 MB when a connection breaks, has no minimum
rate, and writes all that a server sends.
"""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx2
from huggingface_hub import (
    HfApi,
    HfFileMetadata,
    ModelInfo,
    close_session,
    constants,
    get_hf_file_metadata,
    get_session,
    hf_hub_url,
    set_client_factory,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OIDCError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, not in __all__
    build_hf_headers,
    hf_raise_for_status,
    logging,
)

from sizeup_store.errors import (
    HubRefusedError,
    HubResponseError,
    HubUnreachableError,
    InvalidOptionError,
    PullError,
)

T = TypeVar("T")
Cause = TypeVar("Cause", bound=BaseException)

_MAX_REDIRECTS = 5
"""The hub needs one or two; more is a loop."""
_CONNECT_SECONDS = 10.0
_MAX_BACKOFF_SECONDS = 8.0
_MINIMUM_BYTES = 64 << 10
"""Every silence_seconds must bring this much: a hub that trickles is as useless as a silent one."""
_JSON_BYTES = 16 << 20
"""Limit of everything but files. A repository of thousands of files is described in far less."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_IS_FILE = "sizeup.file"
"""Request extension: the body is a file, whose reader limits it."""

OnRetry = Callable[[str], None]
"""Called with the reason before each retry."""


class TransientError(HubUnreachableError):
    """A failure that is worth a retry."""


@dataclass(frozen=True, slots=True)
class HubOptions:
    """Where the hub is, and how long to wait for it."""

    endpoint: str
    """May have a path and a trailing slash."""
    token: str | None = field(repr=False)
    """None: the token that huggingface_hub finds in the environment or in its token file."""
    silence_seconds: float
    attempts: int
    """Failures in a row without progress before giving up."""
    backoff_seconds: float
    """Before the first retry; doubles with each one."""
    ca_file: Path | None = None
    """PEM certificates to trust in addition to the system's (which SSL_CERT_FILE replaces)."""


class HubClient:
    """A connection to one hub; see connect."""

    def __init__(self, options: HubOptions, on_retry: OnRetry) -> None:
        self.options = options
        self._on_retry = on_retry
        self._endpoint = options.endpoint.rstrip("/")
        self._token = options.token.strip() if options.token else None
        self._api = HfApi(endpoint=self._endpoint, token=self._token)
        self._headers = build_hf_headers(token=self._token)

    @property
    def host(self) -> str:
        """The endpoint's host, for messages."""
        return httpx2.URL(self._endpoint).host

    def without_retries(self) -> "HubClient":
        """Return a client that tries everything once."""
        return HubClient(replace(self.options, attempts=1), self._on_retry)

    def model_info(self, model_id: str, revision: str) -> ModelInfo:
        """Return the description of a revision, with the size and digest of every file."""
        with self._translated(model_id):
            return self._api.model_info(
                model_id,
                revision=revision,
                files_metadata=True,
                timeout=self.options.silence_seconds,
            )

    def file_metadata(self, model_id: str, commit: str, name: str) -> HfFileMetadata:
        """Return the size and ETag in the hub's own headers for a file."""
        with self._translated(model_id):
            return get_hf_file_metadata(
                self._file_url(model_id, commit, name),
                token=self._token,
                timeout=self.options.silence_seconds,
                endpoint=self._endpoint,
            )

    @contextmanager
    def open_file(
        self, model_id: str, commit: str, name: str, begin: int
    ) -> Iterator[httpx2.Response]:
        """Open a file from byte `begin`; the status is 206, or 200 for the whole file."""
        headers = self._headers | ({"Range": f"bytes={begin}-"} if begin else {})
        url = self._file_url(model_id, commit, name)
        with (
            self._translated(model_id),
            get_session().stream("GET", url, headers=headers, extensions={_IS_FILE: True}) as file,
        ):
            hf_raise_for_status(file)
            if file.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise HubResponseError(f"{_shown(file.url)} returned {file.status_code}")
            yield file

    def _file_url(self, model_id: str, commit: str, name: str) -> str:
        return hf_hub_url(model_id, name, revision=commit, endpoint=self._endpoint)

    def with_retries(self, once: Callable[[], T]) -> T:
        """Retry transient errors until the attempts are used up."""
        for failures in range(1, self.options.attempts):
            try:
                return once()
            except TransientError as error:
                self.back_off(failures, error)
        return once()

    def back_off(self, failures: int, error: TransientError) -> None:
        """Sleep before the retry that follows this many failures in a row."""
        self._on_retry(str(error))
        first = self.options.backoff_seconds
        limit = max(first, _MAX_BACKOFF_SECONDS)
        time.sleep(min(limit, first * 2.0 ** min(failures - 1, 64)))

    @contextmanager
    def _translated(self, model_id: str) -> Iterator[None]:
        try:
            yield
        except PullError:
            raise
        except HfHubHTTPError as error:
            raise self._status_error(error, model_id) from error
        except httpx2.RequestError as error:
            _raise_request_error(error, self.options.silence_seconds)
        except httpx2.InvalidURL as error:
            raise HubResponseError(f"{self.host} redirects to an invalid URL") from error
        except HFValidationError as error:
            raise InvalidOptionError(f"{model_id!r} is not a valid repository id") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HubResponseError(
                f"{self.host} did not return a model description in JSON"
            ) from error

    def _status_error(self, error: HfHubHTTPError, model_id: str) -> PullError:
        status, where = error.response.status_code, _shown(error.response.url)
        if status in _TRANSIENT:
            return TransientError(f"{where} returned {status}")
        if isinstance(error, GatedRepoError):
            return HubRefusedError(
                f"{model_id} is gated ({status}): accept the licence at "
                f"{self._endpoint}/{model_id} and set HF_TOKEN to a token of that account"
            )
        if isinstance(error, RevisionNotFoundError):
            return HubRefusedError(f"{model_id}: revision not found ({status}): {where}")
        if status == HTTPStatus.UNAUTHORIZED:
            return HubRefusedError(
                f"{where} returned 401: {model_id} does not exist, or is private or gated and "
                "needs a token; set HF_TOKEN or run `hf auth login`"
            )
        if status == HTTPStatus.FORBIDDEN:
            return HubRefusedError(f"{where} returned 403: the token (HF_TOKEN) has no access")
        if status == HTTPStatus.NOT_FOUND:
            return HubRefusedError(f"{where} returned 404: no such model, revision or file")
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return HubResponseError(f"the proxy for {error.response.url.host} returned 407")
        return HubResponseError(f"{where} returned {status}")


@contextmanager
def connect(options: HubOptions, on_retry: OnRetry) -> Iterator[HubClient]:
    """Open a client; raises InvalidOptionError.

    huggingface_hub has one HTTP client per process, so only one hub can be connected at a time.
    """
    constants.HF_HUB_DISABLE_TELEMETRY = True  # the user agent would list installed packages
    # Its warnings are about failures that are retried and reported here.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    set_client_factory(partial(_http_client, options))
    get_session()  # makes the client: invalid options fail here
    try:
        yield HubClient(options, on_retry)
    except (OIDCError, UnicodeDecodeError) as error:
        raise InvalidOptionError(f"no usable Hugging Face token: {error}") from error
    finally:
        close_session()


def _http_client(options: HubOptions) -> httpx2.Client:
    home = _checked_endpoint(options.endpoint)

    def guard(request: httpx2.Request) -> None:
        """Never leave https, and keep the token from every host but the endpoint's."""
        if home.scheme == "https" and request.url.scheme != "https":
            raise HubResponseError(f"{home.host} redirects to {request.url.scheme}: not followed")
        if request.url.origin != home.origin:
            request.headers.pop("Authorization", None)

    def limit(response: httpx2.Response) -> None:
        is_file = response.is_success and _IS_FILE in response.request.extensions
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _LimitedBody(
            response.stream, options.silence_seconds, None if is_file else _JSON_BYTES
        )

    try:
        _check_proxies()
        return httpx2.Client(
            verify=_trusted(options.ca_file),
            timeout=httpx2.Timeout(options.silence_seconds, connect=_CONNECT_SECONDS),
            headers={"Accept-Encoding": "identity"},
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            event_hooks={"request": [guard], "response": [limit]},
        )
    except (ValueError, httpx2.InvalidURL, ImportError) as error:
        raise InvalidOptionError(
            "the proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not an http URL"
        ) from error


def _check_proxies() -> None:
    """Raise ValueError or InvalidURL for a proxy without a host, which httpx would connect to."""
    proxies = getproxies()
    for proxy in filter(None, (proxies.get(scheme) for scheme in ("http", "https", "all"))):
        if not _proxy_url(proxy).host:
            raise ValueError("no host")


def _proxy_url(proxy: str) -> httpx2.URL:
    return httpx2.URL(proxy if "://" in proxy else f"http://{proxy}")


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


def _checked_endpoint(endpoint: str) -> httpx2.URL:
    try:
        url = httpx2.URL(endpoint)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidOptionError(f"the endpoint {endpoint!r} is not an http or https URL")
    return url


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()  # the system's certificates, or SSL_CERT_FILE's
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidOptionError(f"SIZEUP_CA_FILE {ca_file}: no PEM certificates") from error
    return context


def _raise_request_error(error: httpx2.RequestError, silence_seconds: float) -> NoReturn:
    """Raise what a failed exchange means, without httpx's text: it has URLs with secrets."""
    url = error.request.url
    if isinstance(error, httpx2.TimeoutException):
        raise TransientError(
            f"{url.host} was silent or too slow for {silence_seconds:g} s"
        ) from error
    if (certificate := _cause(error, ssl.SSLCertVerificationError)) is not None:
        raise HubResponseError(
            f"{url.host} has an untrusted certificate ({certificate.verify_message}); "
            "set SIZEUP_CA_FILE to its authority's"
        ) from error
    if isinstance(error, httpx2.ProxyError):
        raise HubResponseError(f"the proxy for {url.host} failed: {error}") from error
    if isinstance(error, httpx2.NetworkError):
        raise TransientError(f"cannot connect to {_peer(url)}: {_reason(error)}") from error
    if isinstance(error, httpx2.RemoteProtocolError) and _was_closed(error):
        raise TransientError(f"{url.host} closed the connection early") from error
    if isinstance(error, httpx2.TooManyRedirects):
        raise HubResponseError(f"{_shown(url)}: more than {_MAX_REDIRECTS} redirects") from error
    raise HubResponseError(f"{url.host} did not speak HTTP: {type(error).__name__}") from error


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
    """Name what a connection goes to, the proxy if there is one, without its password."""
    proxy = getproxies().get(url.scheme)
    if not proxy or proxy_bypass(url.host):
        return url.host
    parsed = _proxy_url(proxy)
    return f"the proxy {parsed.host}:{parsed.port}"


def _reason(error: httpx2.NetworkError) -> str:
    system = _cause(error, OSError)
    return (system.strerror if system else None) or type(error).__name__


def _shown(url: httpx2.URL) -> str:
    """Return a URL for messages: user and query may be secrets."""
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}{url.path}"
