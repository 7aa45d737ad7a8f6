"""HTTP to the hub: redirects, retries, deadlines, and errors a person can act on.

huggingface_hub is not used for this: it returns a file whose bytes are wrong when the size is
right, reads its configuration from the environment when it is imported, and leaves partial files
behind. The cache it lays out is the one written here.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from sizeup.backoff import Policy, wait_seconds
from sizeup.errors import HubAnswerError, HubRefusedError, HubUnreachableError, UsageError
from sizeup.hub.proxies import proxy_for

T = TypeVar("T")

_REDIRECTS = 5
"""The hub needs one or two; more is a loop."""
_CONNECT_SECONDS = 10.0
_JSON_BYTES = 16 << 20
"""A repository's description lists its files: far less, even for thousands of them."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


OnRetry = Callable[[str], None]
"""Is told what failed and is tried again."""


class TransientError(HubUnreachableError):
    """What may pass: tried again until the attempts are used up."""


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the hub is and how patient to be with it."""

    endpoint: str
    """Without a slash at the end; may have a path."""
    token: str | None = field(repr=False)
    silence_seconds: float
    attempts: int
    backoff: Policy
    ca_file: Path | None = None
    """Certificates to trust beside the system's (which SSL_CERT_FILE replaces)."""

    def url(self, *parts: str) -> URL:
        """Return the address of a path below the endpoint; slashes inside parts stay."""
        path = "/".join(quote(part, safe="/") for part in parts)
        return URL(f"{self.endpoint}/{path}", encoded=True)


def make_hub(
    endpoint: str,
    token: str | None,
    silence_seconds: float,
    attempts: int,
    first_wait: float,
    ca_file: Path | None = None,
) -> Hub:
    """Check the endpoint, or raise UsageError."""
    url = URL(endpoint)
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"the endpoint {endpoint!r} is not an http or https address")
    policy = Policy(first_seconds=first_wait, longest_seconds=max(first_wait, 8.0))
    clean = token.strip() if token else None
    return Hub(endpoint.rstrip("/"), clean or None, silence_seconds, attempts, policy, ca_file)


class HubClient:
    """Ask one hub. Belongs to one event loop; see connect."""

    def __init__(self, hub: Hub, session: aiohttp.ClientSession, on_retry: OnRetry) -> None:
        """Use a session that lives longer than this."""
        self.hub = hub
        self._session = session
        self._on_retry = on_retry
        self._home = URL(hub.endpoint).origin()

    def impatient(self) -> "HubClient":
        """Return a client that tries once: whoever has an answer already need not wait for one."""
        return HubClient(replace(self.hub, attempts=1), self._session, self._on_retry)

    async def get_json(self, url: URL) -> dict[str, Any]:
        """Return a JSON object, trying again what may pass."""

        async def once() -> dict[str, Any]:
            async with self.open("GET", url) as response:
                return _object(await self._body(response), response)

        return await self.persistently(once)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self.hub.silence_seconds):
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _JSON_BYTES:
                        raise HubAnswerError(f"{response.host} answered with too much")
        except TimeoutError as error:
            raise TransientError(f"{response.host} answers too slowly") from error
        return bytes(body)

    async def head(self, url: URL) -> Mapping[str, str]:
        """Return the hub's own headers of a file, before it redirects to a store elsewhere."""

        async def once() -> Mapping[str, str]:
            here = url
            for _ in range(_REDIRECTS):
                async with self._single("HEAD", here, {}) as response:
                    if not _is_redirect(response):
                        _refuse(response, here)
                        return response.headers.copy()
                    target = _target(response, here)
                    if target.origin() != self._home:
                        return response.headers.copy()
                here = target
            raise HubAnswerError(f"{_shown(url)}: more than {_REDIRECTS} redirects")

        return await self.persistently(once)

    async def persistently(self, once: Callable[[], Awaitable[T]]) -> T:
        """Try until it works, fails for good, or the attempts are used up."""
        for failures in range(1, self.hub.attempts):
            try:
                return await once()
            except TransientError as error:
                await self.pause(failures, error)
        return await once()

    async def pause(self, failures: int, error: TransientError) -> None:
        """Wait as long as suits this many failures in a row, of which this is the last."""
        self._on_retry(str(error))
        await asyncio.sleep(wait_seconds(failures, self.hub.backoff))

    @asynccontextmanager
    async def open(
        self, method: str, url: URL, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Follow redirects to a good answer; raise TransientError or a final PullError."""
        for _ in range(_REDIRECTS):
            async with self._single(method, url, headers or {}) as response:
                if not _is_redirect(response):
                    _refuse(response, url)
                    yield response
                    return
                url = _target(response, url)
        raise HubAnswerError(f"{_shown(url)}: more than {_REDIRECTS} redirects")

    @asynccontextmanager
    async def _single(
        self, method: str, url: URL, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept-Encoding": "identity", **headers}
        if self.hub.token and url.origin() == self._home:  # a store must not learn the token
            headers["Authorization"] = f"Bearer {self.hub.token}"
        try:
            async with self._session.request(
                method, url, headers=headers, allow_redirects=False, proxy=proxy_for(url)
            ) as response:
                yield response
        except TimeoutError as error:
            raise TransientError(f"{url.host} was silent for too long") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise HubAnswerError(
                f"{url.host} has a certificate that is not trusted; SIZEUP_CA_FILE may name its "
                f"authority's ({error.certificate_error})"
            ) from error
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
            raise TransientError(f"{url.host} cut its answer short") from error
        except aiohttp.ClientProxyConnectionError as error:
            proxy = f"the proxy {error.host}:{error.port}"
            raise TransientError(f"{proxy} cannot be reached: {_reason(error)}") from error
        except aiohttp.ClientConnectionError as error:
            raise TransientError(f"{url.host} cannot be reached: {_reason(error)}") from error
        except aiohttp.ClientHttpProxyError as error:
            raise HubAnswerError(
                f"the proxy answered {error.status} instead of a way to {url.host}"
            ) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise HubAnswerError(
                f"{url.host} did not speak HTTP as expected: {_reason(error)}"
            ) from error


@asynccontextmanager
async def connect(hub: Hub, on_retry: OnRetry) -> AsyncIterator[HubClient]:
    """Open a client; `on_retry` learns why something is tried again. Raises UsageError."""
    timeout = aiohttp.ClientTimeout(
        total=None,
        sock_connect=_CONNECT_SECONDS,
        connect=_CONNECT_SECONDS,
        sock_read=hub.silence_seconds,
    )
    connector = aiohttp.TCPConnector(ssl=_trusted(hub.ca_file))
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield HubClient(hub, session, on_retry)


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()  # the system's, or SSL_CERT_FILE's
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"SIZEUP_CA_FILE {ca_file}: no certificates in PEM form") from error
    return context


def _shown(url: URL) -> str:
    """Return an address as messages have it: user and query may be secrets."""
    return f"{url.origin()}{url.path}"


def _reason(error: Exception) -> str:
    """Say what failed without aiohttp's words, which hold addresses with all their secrets."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or type(error).__name__


def _is_redirect(response: aiohttp.ClientResponse) -> bool:
    return response.status in (301, 302, 303, 307, 308)


def _target(response: aiohttp.ClientResponse, url: URL) -> URL:
    try:
        target = url.join(URL(response.headers["Location"], encoded=True))
    except (KeyError, ValueError) as error:
        raise HubAnswerError(f"{_shown(url)} redirects to nowhere") from error
    if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
        raise HubAnswerError(f"{_shown(url)} redirects to {target.scheme}, which is not followed")
    return target


def _refuse(response: aiohttp.ClientResponse, url: URL) -> None:
    """Raise what a status means; return for a good one."""
    status, where = response.status, _shown(url)
    if status in _TRANSIENT:
        raise TransientError(f"{where} answered {status}")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise HubRefusedError(f"{where} answered {status}: private or gated; set HF_TOKEN")
    if status == HTTPStatus.NOT_FOUND:
        raise HubRefusedError(f"{where} answered 404: there is no such model, revision or file")
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise HubAnswerError(f"{where} answered {status}")


def _object(body: bytes, response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HubAnswerError(f"{response.host} answered {_kind(response)} instead of JSON")
    return value


def _kind(response: aiohttp.ClientResponse) -> str:
    return "a web page" if response.content_type == "text/html" else response.content_type
