"""Files in a log, so that a Job needs no storage to keep its results.

Each file stands between two markers, gzipped, in base64, in lines a container's log keeps whole:

    ----- sizeup-bench file begin results.json -----
    H4sIAAAAAAAC/...
    ----- sizeup-bench file end results.json sha256 <of the file> -----

A line may have anything before the marker or the data that ends in a space, as `kubectl logs
--timestamps --prefix` puts there.
"""

import base64
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from sizeup_loadtest.errors import UsageError

_WIDTH = 3072
"""Bytes a line: 4096 characters, a quarter of what container runtimes cut lines at."""
MAX_BYTES = 1 << 30
_BEGIN = re.compile(r"----- sizeup-bench file begin (\S+) -----\s*$")
_END = re.compile(r"----- sizeup-bench file end (\S+) sha256 ([0-9a-f]{64}) -----\s*$")


def lines(name: str, data: bytes) -> Iterator[str]:
    """Write a file as lines, without line ends; the name is plain: no folders or spaces."""
    _plain(name)
    packed = gzip.compress(data, mtime=0)
    yield f"----- sizeup-bench file begin {name} -----"
    for at in range(0, len(packed), _WIDTH):
        yield base64.b64encode(packed[at : at + _WIDTH]).decode()
    yield f"----- sizeup-bench file end {name} sha256 {hashlib.sha256(data).hexdigest()} -----"


def files(log: Iterable[str]) -> dict[str, bytes]:
    """Read all files out of a log, the last of each name; UsageError for one that is damaged."""
    found: dict[str, bytes] = {}
    name, parts = "", list[str]()
    for line in log:
        if begin := _BEGIN.search(line):
            name, parts = _plain(begin[1]), []
        elif end := _END.search(line):
            if end[1] != name:
                raise UsageError(f"{end[1]}: its begin is not in the log")
            found[name] = _unpacked(name, parts, end[2])
            name = ""
        elif name:
            parts.append(line.rstrip().rpartition(" ")[2])
    if name:
        raise UsageError(f"{name}: its end is not in the log")
    return found


def _plain(name: str) -> str:
    """Refuse a name that is more than a file's: it comes from a log."""
    if PurePosixPath(name).name != name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"not the name of a file: {name!r}")
    return name


def _unpacked(name: str, parts: list[str], digest: str) -> bytes:
    try:
        packed = b"".join(base64.b64decode(part, validate=True) for part in parts)
        data = _gunzipped(name, packed)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise UsageError(f"{name}: damaged in the log: {error}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise UsageError(f"{name}: damaged in the log: lines are missing or from elsewhere")
    return data


def _gunzipped(name: str, packed: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: longer than {MAX_BYTES} bytes")
    return data
