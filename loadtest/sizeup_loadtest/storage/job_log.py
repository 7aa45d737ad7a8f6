"""Files in a log, so that a Kubernetes Job needs no storage for its results.

Each file is between two markers, gzipped, as base64 lines that container runtimes do not split:

    ----- sizeup-bench file begin results.json -----
    H4sIAAAAAAAC/...
    ----- sizeup-bench file end results.json sha256 <of the file> -----

A line may have a prefix that ends in a space, as `kubectl logs --timestamps --prefix` adds.
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

_LINE_BYTES = 3072
"""4096 characters of base64, a quarter of the length at which container runtimes split lines."""
MAX_BYTES = 1 << 30
_BEGIN = re.compile(r"----- sizeup-bench file begin (\S+) -----\s*$")
_END = re.compile(r"----- sizeup-bench file end (\S+) sha256 ([0-9a-f]{64}) -----\s*$")


def encode(name: str, data: bytes) -> Iterator[str]:
    """Yield the lines of a file, without newlines; the name has no folders or spaces."""
    _check_name(name)
    packed = gzip.compress(data, mtime=0)
    yield f"----- sizeup-bench file begin {name} -----"
    for at in range(0, len(packed), _LINE_BYTES):
        yield base64.b64encode(packed[at : at + _LINE_BYTES]).decode()
    yield f"----- sizeup-bench file end {name} sha256 {hashlib.sha256(data).hexdigest()} -----"


def decode(log: Iterable[str]) -> dict[str, bytes]:
    """Extract all files of a log, the last of each name; UsageError for a corrupt one."""
    files: dict[str, bytes] = {}
    name, parts = "", list[str]()
    for line in log:
        if begin := _BEGIN.search(line):
            name, parts = _check_name(begin[1]), []
        elif end := _END.search(line):
            if end[1] != name:
                raise UsageError(f"{end[1]}: no begin marker in the log")
            files[name] = _unpack(name, parts, end[2])
            name = ""
        elif name:
            parts.append(line.rstrip().rpartition(" ")[2])
    if name:
        raise UsageError(f"{name}: no end marker in the log")
    return files


def _check_name(name: str) -> str:
    """Reject a path: names come from a log."""
    if PurePosixPath(name).name != name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"not a plain file name: {name!r}")
    return name


def _unpack(name: str, parts: list[str], digest: str) -> bytes:
    try:
        packed = b"".join(base64.b64decode(part, validate=True) for part in parts)
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            data = stream.read(MAX_BYTES + 1)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise UsageError(f"{name}: corrupt in the log: {error}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: larger than {MAX_BYTES} bytes")
    if (actual := hashlib.sha256(data).hexdigest()) != digest:
        raise UsageError(f"{name}: checksum mismatch: expected {digest}, got {actual}")
    return data
