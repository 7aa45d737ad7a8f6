"""Request bodies: read within limits, parsed as JSON whatever the Content-Type, validated strictly.

All input is untrusted; each guard states the input that it rejects.
"""

import asyncio
import contextvars
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails
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
"""JSON schemas of tools nest about 10 deep, and the arguments of a call that inference returns at
most 64; much deeper trees overflow the stack of recursions."""

_MAX_BODY_DEPTH = _MAX_DEPTH + 8
"""The arguments of a call stand below messages, tool_calls and function, which take 7 levels."""

_MAX_VALUES = 2**18
"""Objects, arrays and strings in a body: 64 for each of 4,096 messages. The parser does not release
the interpreter, and takes 40 ms for as many empty strings or keys."""

_MAX_ITEMS = 2**21
"""Commas in a body, those in texts included: twice the million token ids of the longest contexts.
As a Python object, a number takes ten times its bytes."""

_STEP_BYTES = 2**18
"""Searched at once; a step takes less than 1 ms."""

_THREAD_BYTES = 2**18
"""Bodies above this are parsed in a thread: 256 KiB take about 2 ms."""

_MAX_DIGITS = 4300
"""Python's own limit: the conversion takes quadratic time."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_MAX_MESSAGE_CHARACTERS = 300
_MAX_KEY_CHARACTERS = 64
_CLOSE = {"Connection": "close"}
_TOO_DEEP = "nested too deeply"


def _fail_fast(schema: object) -> None:
    """Let lists end at their first invalid item, since only the first error is reported.

    An error for each of 5 million items would hold the interpreter for half a minute.
    """
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            schema["fail_fast"] = True
        for part in schema.values():
            _fail_fast(part)
    elif isinstance(schema, list):
        for part in schema:
            _fail_fast(part)


class RequestBody(BaseModel):
    """Superclass of every public request body and its parts.

    Strict: "5" is not a number and True not an integer. Unknown fields are ignored, since clients
    send fields of newer versions of their protocol.
    """

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # field descriptions of the OpenAPI document
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _fail_fast(schema)
        return schema


BodyT = TypeVar("BodyT", bound=RequestBody)
T = TypeVar("T")
Describe = Callable[[ErrorDetails], InvalidRequestError]


@dataclass(frozen=True, slots=True)
class BodyLimits:
    max_bytes: int
    """Of one body."""
    max_total_bytes: int
    """Of all bodies that are being received or parsed."""
    seconds: float
    """For receiving one body."""


class BodyReader:
    def __init__(self, limits: BodyLimits, drain: Drain) -> None:
        """Reading ends at the drain's deadline at the latest, with an error to the client."""
        self._limits = limits
        self._drain = drain
        self._received_bytes = 0
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="parser")
        """One thread: what is parsed takes many times its bytes until it is validated."""

    async def read(self, request: Request, parse: Callable[[bytes], T]) -> T:
        """Return the parsed body, or raise AccessError or InvalidRequestError.

        A large one is parsed, and what is parsed but not returned is freed, in a thread.
        """
        encodings = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
        if any(encoding.strip() not in ("", "identity") for encoding in encodings):
            message = "compressed request bodies are not supported"
            raise AccessError(AccessCode.UNSUPPORTED_ENCODING, message)
        body = bytearray()
        try:
            await self._receive(request, body)
            if len(body) <= _THREAD_BYTES:
                return parse(bytes(body))
            context, loop = contextvars.copy_context(), asyncio.get_running_loop()
            return await loop.run_in_executor(self._parser, context.run, parse, bytes(body))
        finally:
            self._received_bytes -= len(body)

    async def _receive(self, request: Request, body: bytearray) -> None:
        length = request.headers.get("content-length", "")
        max_bytes = self._limits.max_bytes
        if length.isdecimal() and len(length) < 20 and int(length) > max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._limits.seconds) as deadline:
                with self._drain.guard(partial(expire_now, deadline)):
                    async for chunk in request.stream():
                        self._received_bytes += len(chunk)
                        body += chunk
                        self._check(len(body))
        except TimeoutError:
            raise self._timeout_error() from None
        except ClientDisconnect:
            raise InvalidRequestError("the request body is incomplete") from None

    def _check(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise self._too_large()
        if self._received_bytes > self._limits.max_total_bytes:
            raise BusyError

    def _timeout_error(self) -> GatewayError:
        if self._drain.expired:
            error = GatewayError(ErrorCode.DRAINING, "the server is shutting down")
            error.headers = _CLOSE
            return error
        message = "the request body was not received in time"
        return AccessError(AccessCode.BODY_TIMEOUT, message, headers=_CLOSE)

    def _too_large(self) -> AccessError:
        message = f"the request body is larger than {self._limits.max_bytes} bytes"
        return AccessError(AccessCode.BODY_TOO_LARGE, message)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse the JSON object of a request body, or raise InvalidRequestError."""
    if not raw.strip():
        raise InvalidRequestError("missing request body")
    try:
        value = parse_json(raw, _MAX_BODY_DEPTH)
    except ValueError as error:
        raise InvalidRequestError(f"invalid JSON: {error}"[:_MAX_MESSAGE_CHARACTERS]) from None
    if not isinstance(value, dict):
        raise InvalidRequestError("the request body must be a JSON object")
    return value


def parse_json(raw: bytes, max_depth: int = _MAX_DEPTH) -> Any:
    """Parse JSON that can be encoded again, or raise ValueError.

    Rejects malformed JSON, UTF-16, NaN and Infinity, numbers beyond a double or 4300 digits,
    duplicate keys, lone surrogates, too many values and deep nesting. Skips a byte order mark.
    """
    _check_values(raw)
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
    _check_depth(value, max_depth)
    return value


def _check_values(raw: bytes) -> None:
    """Raise ValueError for too many values. Other threads run between the steps."""
    commas = (raw.count(b",", i, i + _STEP_BYTES) for i in range(0, len(raw), _STEP_BYTES))
    if any(total > _MAX_ITEMS for total in accumulate(commas)):
        raise ValueError(f"more than {_MAX_ITEMS} items")
    if not _exceed(_counts(raw)):
        return
    if _exceed(_counts_outside_strings(raw)):
        raise ValueError(f"more than {_MAX_VALUES} objects, arrays and strings")


def _exceed(counts: Iterator[int]) -> bool:
    return any(total > _MAX_VALUES for total in accumulate(counts))


def _counts(raw: bytes) -> Iterator[int]:
    """Count brackets and half of the quotes, those in texts included."""
    for start in range(0, len(raw), _STEP_BYTES):
        end = start + _STEP_BYTES
        yield raw.count(b"{", start, end) + raw.count(b"[", start, end)
        yield raw.count(b'"', start, end) // 2


def _counts_outside_strings(raw: bytes) -> Iterator[int]:
    end = 0
    for string in _STRING.finditer(raw):
        start, end = end, string.end()
        yield 1 + raw.count(b"{", start, string.start()) + raw.count(b"[", start, string.start())
    for start in range(end, len(raw), _STEP_BYTES):
        yield sum(raw.count(bracket, start, start + _STEP_BYTES) for bracket in (b"{", b"["))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        duplicate = counts.most_common(1)[0][0]
        raise ValueError(f"duplicate key {json.dumps(duplicate[:_MAX_KEY_CHARACTERS])}")
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


def _check_depth(value: Any, max_depth: int) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def parse(
    kind: type[BodyT],
    raw: bytes,
    describe: Describe,
    check: Callable[[dict[str, Any]], None] = lambda _value: None,
) -> BodyT:
    """Parse and validate a body; raise as `parse_object`, `check` and `validate` do.

    `check` sees what is parsed, before it is validated.
    """
    value = parse_object(raw)
    check(value)
    return validate(kind, value, describe)


def validate(kind: type[BodyT], value: dict[str, Any], describe: Describe) -> BodyT:
    """Validate a parsed body, or raise the exception that `describe` makes of the first error."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise describe(error.errors(include_url=False)[0]) from None


def field_path(details: ErrorDetails) -> str:
    """Return the path of the field at fault, as in `messages.0.content`."""
    return ".".join(str(part) for part in details["loc"])


def describe(details: ErrorDetails, unions: Collection[str] = ()) -> InvalidRequestError:
    """Convert a validation error; the message starts with the field, as OpenAI's do.

    `unions` are fields with lists of several types, which pydantic names in the path of an error.
    """
    path = details["loc"]
    items = (part in unions and isinstance(index, int) for part, index in pairwise(path))
    tags = {i + 2 for i, is_item in enumerate(items) if is_item}
    field = ".".join(str(part) for i, part in enumerate(path) if i not in tags)
    return InvalidRequestError(f"{field}: {reason(details)}", field)


def reason(details: ErrorDetails) -> str:
    """Return the error in a field, without its value."""
    return details["msg"].removeprefix("Value error, ")[:_MAX_MESSAGE_CHARACTERS]
