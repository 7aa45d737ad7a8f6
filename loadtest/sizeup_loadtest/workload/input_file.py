"""Files that a user brings: JSON Lines, a JSON array, or CSV with a header.

A fault is a ConfigError of one line that names the config key, the file and the line.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from sizeup_loadtest.errors import ConfigError

MAX_BYTES = 256 << 20
"""Of a file; it is read into memory as a whole."""

_BINARY: Mapping[bytes, str] = {
    b"\x1f\x8b": "compressed with gzip",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xfd7zXZ": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"PAR1": "a Parquet file",
}
"""First bytes of common formats that are not text."""
_JSON_SPACE = " \t\r\n"
Entry = tuple[str, Mapping[str, object]]


def entries(path: Path, key: str) -> Iterator[Entry]:
    """Yield every object with where it stands, for messages; `key` is the config key of the file.

    A file named .csv or .tsv is CSV, anything else JSON. The values of CSV are strings.
    """
    where = f"{key}: {path}"
    text = _text(path, where)
    if path.suffix.lower() in (".csv", ".tsv"):
        found = _csv(text, where)
    elif text.lstrip(_JSON_SPACE).startswith("["):
        found = _array(text, where)
    else:
        found = _lines(text, where)
    empty = True
    for at, value in found:
        yield at, _checked(value, at)
        empty = False
    if empty:
        raise ConfigError(f"{where} has no entries")


def _text(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{where} is larger than {MAX_BYTES} bytes")
    for magic, name in _BINARY.items():
        if data.startswith(magic):
            raise ConfigError(f"{where} is {name}: JSON Lines, a JSON array or CSV is required")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{where} line {line}: not UTF-8: {error.reason}") from None


def _lines(text: str, where: str) -> Iterator[tuple[str, object]]:
    # Not splitlines: JSON may have U+2028 and U+0085 inside a string.
    for number, line in enumerate(text.split("\n"), 1):
        # Joined files have a BOM in the middle.
        if stripped := line.strip("\ufeff" + _JSON_SPACE):
            at = f"{where} line {number}"
            value, end = _value(stripped, 0, at)
            if stripped[end:].strip(_JSON_SPACE):
                raise ConfigError(f"{at}: more than one JSON object in a line")
            yield at, value


def _array(text: str, where: str) -> Iterator[tuple[str, object]]:
    at, line, number, counted = text.index("[") + 1, 1, 0, 0
    while True:
        at = _skip(text, at)
        line, counted = line + text.count("\n", counted, at), at
        if text.startswith("]", at):
            break
        number += 1
        place = f"{where} line {line}, item {number}"
        value, at = _value(text, at, place)
        yield place, value
        at = _skip(text, at)
        if text.startswith(",", at):
            at += 1
        elif not text.startswith("]", at):
            raise ConfigError(f"{place}: `,` or `]` expected after it")
    if text[at + 1 :].strip(_JSON_SPACE):
        raise ConfigError(f"{where} line {line}: text after the end of the array")


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _JSON_SPACE and at < len(text):
        at += 1
    return at


def _value(text: str, at: int, where: str) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: not valid JSON: {error.msg}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate key {duplicate!r}")
    return result


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _csv(text: str, where: str) -> Iterator[tuple[str, object]]:
    csv.field_size_limit(MAX_BYTES)
    header, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    try:
        for row in reader:
            at = f"{where} line {reader.line_num}"
            if not names:
                names = _header(row, at)
            elif row and len(row) != len(names):
                raise ConfigError(f"{at}: {len(row)} fields, the header has {len(names)}")
            elif row:
                yield at, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise ConfigError(f"{where} line {reader.line_num}: {error}") from None


def _header(row: list[str], at: str) -> list[str]:
    names = [name.strip() for name in row]
    if row and (len(set(names)) < len(names) or not all(names)):
        raise ConfigError(f"{at}: the names of a header have to differ and cannot be empty")
    return names


def _checked(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: not a JSON object")
    for text in _strings(value):
        if "\0" in text:
            raise ConfigError(f"{where}: a NUL character")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"{where}: half a surrogate pair, which UTF-8 cannot send") from None
    return value


def _strings(value: object) -> Iterator[str]:
    """Yield every string in a JSON value; iterative, as deep as the parser allows."""
    rest = [value]
    while rest:
        match rest.pop():
            case str() as text:
                yield text
            case dict() as fields:
                rest += [*fields, *fields.values()]
            case list() as items:
                rest += items
