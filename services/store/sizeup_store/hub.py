"""HTTP to the Hugging Face Hub: huggingface_hub with deadlines, retries and one error tree.

huggingface_hub resolves the token, describes repositories and classifies error responses. It does
not download the files: its `http_get` loses up to 10 MB when a connection breaks, has no minimum
rate, and does not bound the bytes that it writes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

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
    parse_ratelimit_headers,
)

from sizeup_store.errors import HubRefusedError, HubResponseError, InvalidOptionError, PullError
from sizeup_store.hub_http import (
    IS_FILE,
    TransientError,
    http_client,
    request_error,
    retry_after_seconds,
    shown,
)

T = TypeVar("T")

_MAX_BACKOFF_SECONDS = 8.0
_MAX_RETRY_AFTER_SECONDS = 300.0
"""The period of the Hub's rate limits: after it a refused client has requests again."""
_CLIENT = "sizeup"
"""In the user agent."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

OnRetry = Callable[[str], None]
"""Called with the reason before each retry."""
Sleep = Callable[[float], None]


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

    def __init__(self, options: HubOptions, on_retry: OnRetry, sleep: Sleep) -> None:
        self.options = options
        self._on_retry = on_retry
        self._sleep = sleep
        self._endpoint = options.endpoint.rstrip("/")
        self._token = options.token.strip() if options.token else None
        self._api = HfApi(endpoint=self._endpoint, token=self._token, library_name=_CLIENT)
        self._headers = build_hf_headers(token=self._token, library_name=_CLIENT)

    @property
    def host(self) -> str:
        """The endpoint's host, for messages."""
        return httpx2.URL(self._endpoint).host

    def without_retries(self) -> "HubClient":
        """Return a client that tries everything once."""
        return HubClient(replace(self.options, attempts=1), self._on_retry, self._sleep)

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
                library_name=_CLIENT,
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
            get_session().stream("GET", url, headers=headers, extensions={IS_FILE: True}) as file,
        ):
            hf_raise_for_status(file)
            if file.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise HubResponseError(f"{shown(file.url)} returned {file.status_code}")
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

    def back_off(
        self, failures: int, error: TransientError, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        """Sleep after so many failures in a row; calls `on_wait` at least each silence_seconds."""
        self._on_retry(str(error))
        first = self.options.backoff_seconds
        backoff = min(max(first, _MAX_BACKOFF_SECONDS), first * 2.0 ** min(failures - 1, 64))
        left = max(backoff, error.retry_after_seconds)
        while left > 0:
            on_wait()
            self._sleep(min(left, self.options.silence_seconds))
            left -= self.options.silence_seconds

    @contextmanager
    def _translated(self, model_id: str) -> Iterator[None]:
        try:
            yield
        except HfHubHTTPError as error:
            raise self._status_error(error, model_id) from error
        except httpx2.RequestError as error:
            raise request_error(error, self.options.silence_seconds) from error
        except httpx2.InvalidURL as error:
            raise HubResponseError(f"{self.host} redirects to an invalid URL") from error
        except HFValidationError as error:
            raise InvalidOptionError(f"{model_id!r} is not a valid repository id") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HubResponseError(
                f"{self.host} did not return a model description in JSON"
            ) from error

    def _status_error(self, error: HfHubHTTPError, model_id: str) -> PullError:
        status, where = error.response.status_code, shown(error.response.url)
        if status in _TRANSIENT:
            return _transient(error.response, f"{where} returned {status}")
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


def _transient(response: httpx2.Response, message: str) -> TransientError:
    """Return the error with the wait of Retry-After, else that of a rate limit that is used up."""
    seconds = retry_after_seconds(response.headers.get("Retry-After", "").strip(), time.time())
    if not seconds and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        limit = parse_ratelimit_headers(response.headers)
        seconds = float(limit.reset_in_seconds) if limit and not limit.remaining else 0.0
    seconds = min(seconds, _MAX_RETRY_AFTER_SECONDS)
    return TransientError(f"{message}; waiting {seconds:.0f} s" if seconds else message, seconds)


def token_file(options: HubOptions) -> Path | None:
    """Return the file that a token would be read from; None if the options have the token."""
    return None if options.token else Path(constants.HF_TOKEN_PATH)


@contextmanager
def connect(
    options: HubOptions, on_retry: OnRetry, sleep: Sleep = time.sleep
) -> Iterator[HubClient]:
    """Open a client, or raise InvalidOptionError; huggingface_hub has one HTTP client a process."""
    constants.HF_HUB_DISABLE_TELEMETRY = True  # the user agent would list installed packages
    # Its warnings are about failures that are retried and reported here.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    set_client_factory(
        partial(http_client, options.endpoint, options.silence_seconds, options.ca_file)
    )
    get_session()  # makes the client: invalid options fail here
    try:
        yield HubClient(options, on_retry, sleep)
    except (OIDCError, UnicodeDecodeError) as error:
        raise InvalidOptionError(f"no usable Hugging Face token: {error}") from error
    finally:
        close_session()
