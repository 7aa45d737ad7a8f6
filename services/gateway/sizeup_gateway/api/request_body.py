"""Request bodies: read within bounds, parsed as JSON whatever the Content-Type, validated strictly.

Everything here is about input nobody vouches for; each guard names the input it is against.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from sizeup_gateway.errors import (
    AccessCode,
    AccessError,
    BusyError,
    GatewayError,
    InvalidRequestError,
)
from sizeup_telemetry.drain import Drain, expire_now
from sizeup_wire.errors import ErrorCode

_MAX_DEPTH = 64
"""JSON schemas of tools nest about 10 deep; deeper trees exhaust the stack of what walks them."""

_MAX_CONTAINERS = 1_000_000
"""Objects and arrays in a body: 10 times what 4096 messages with tool calls hold."""

_THREAD_BYTES = 2**18
"""Bodies above this are parsed off the event loop: 256 KiB take about 2 ms."""

_MAX_DIGITS = 4300
"""Python's own bound, beyond which converting takes quadratic time."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN_MESSAGE_CHARACTERS = 300
_CLOSE = {"Connection": "close"}
_TOO_DEEP = "nested too deep"


class Body(BaseModel):
    """Base of every public request body and its parts.

    Strict: "5" is no number and True no integer. Fields nobody knows are ignored, since clients
    send what the newest version of their protocol has.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


B = TypeVar("B", bound=Body)
Describe = Callable[[ErrorDetails], InvalidRequestError]


def _function_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Check what templates rely on and keep the rest: the model's template sees all of it."""
    function = tool.get("function")
    if tool.get("type") not in (None, "function"):
        raise ValueError("only tools of type function are supported")
    if not isinstance(function, dict):
        raise ValueError("a tool needs a function")  # noqa: TRY004 - pydantic reports ValueError
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not name:
        raise ValueError("the function of a tool needs a name")
    if parameters is not None and not isinstance(parameters, dict):
        raise ValueError("the parameters of a tool must be a JSON schema object")
    return {**tool, "type": "function"}


FunctionTool = Annotated[dict[str, Any], AfterValidator(_function_tool)]
"""A tool as both APIs and chat templates write it."""

MAX_TOOLS = 1024
"""Eight times OpenAI's 128; each is part of the prompt anyway."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What request bodies may take."""

    max_bytes: int
    """Of one body."""
    max_total_bytes: int
    """Of all that are arriving at one time."""
    seconds: float
    """For one body to arrive."""


class BodyReader:
    """Read JSON objects from requests."""

    def __init__(self, limits: BodyLimits, drain: Drain) -> None:
        """Read until the drain's deadline at most: who still sends then is told so."""
        self._limits = limits
        self._drain = drain
        self._held_bytes = 0

    async def read(self, request: Request) -> dict[str, Any]:
        """Return the body, or raise AccessError or InvalidRequestError."""
        encodings = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
        if any(encoding.strip() not in ("", "identity") for encoding in encodings):
            message = "compressed request bodies are not supported"
            raise AccessError(AccessCode.UNSUPPORTED_ENCODING, message)
        raw = await self._read_bytes(request)
        if len(raw) > _THREAD_BYTES:
            return await asyncio.to_thread(parse_object, raw)
        return parse_object(raw)

    async def _read_bytes(self, request: Request) -> bytes:
        length = request.headers.get("content-length", "")
        max_bytes = self._limits.max_bytes
        if length.isdecimal() and len(length) < 20 and int(length) > max_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.seconds) as deadline:
                with self._drain.guard(partial(expire_now, deadline)):
                    async for chunk in request.stream():
                        self._held_bytes += len(chunk)
                        body += chunk
                        self._check(len(body))
        except TimeoutError:
            raise self._overdue() from None
        except ClientDisconnect:
            raise InvalidRequestError("the request body ended early") from None
        finally:
            self._held_bytes -= len(body)
        return bytes(body)

    def _check(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise self._too_large()
        if self._held_bytes > self._limits.max_total_bytes:
            raise BusyError

    def _overdue(self) -> GatewayError:
        if self._drain.expired:
            error = GatewayError(ErrorCode.DRAINING, "the server is shutting down")
            error.headers = _CLOSE
            return error
        message = "the request body did not arrive in time"
        return AccessError(AccessCode.BODY_TIMEOUT, message, _CLOSE)

    def _too_large(self) -> AccessError:
        message = f"the request body is larger than {self._limits.max_bytes} bytes"
        return AccessError(AccessCode.BODY_TOO_LARGE, message)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse the JSON object of a request body, or raise InvalidRequestError."""
    if not raw.strip():
        raise InvalidRequestError("missing request body")
    try:
        value = parse_json(raw)
    except ValueError as error:
        raise InvalidRequestError(f"invalid JSON: {error}"[:_SHOWN_MESSAGE_CHARACTERS]) from None
    if not isinstance(value, dict):
        raise InvalidRequestError("the request body must be a JSON object")
    return value


def parse_json(raw: bytes) -> Any:
    """Parse JSON that can be written out again, or raise ValueError.

    Refused beside malformed JSON: UTF-16, NaN and Infinity, numbers beyond a double or 4300
    digits, two equal keys in one object, half a surrogate pair, deep nesting. A byte order mark
    is skipped.
    """
    if raw.count(b"{") + raw.count(b"[") > _MAX_CONTAINERS:
        raise ValueError("too many objects and arrays")
    try:
        value = json.loads(
            raw.decode("utf-8-sig"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
        if _SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise ValueError("not valid UTF-8 text") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("a number is too long")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return value


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def validate(kind: type[B], value: dict[str, Any], describe: Describe) -> B:
    """Validate a parsed body, or raise what `describe` makes of the first error."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise describe(error.errors(include_url=False)[0]) from None


def dotted(details: ErrorDetails) -> str:
    """Name the field of a validation error, as in `messages.0.content`."""
    return ".".join(str(part) for part in details["loc"])


def reason(details: ErrorDetails) -> str:
    """Say what is wrong with a field, without its value."""
    return details["msg"].removeprefix("Value error, ")[:_SHOWN_MESSAGE_CHARACTERS]
