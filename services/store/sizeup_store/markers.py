"""The checksums of cached files, and markers of the files that a download has verified."""

import contextlib
import json
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""git's blob id, or the sha256 of a file in large-file storage."""


def blob_digest(path: Path) -> str | None:
    """Return the digest that is the name of the cache blob behind a link; None for other files.

    Only the first link is followed: a blob may be a link into a store shared by caches.
    """
    if not path.is_symlink():
        return None
    target = path.readlink()
    is_blob = target.parent.name == "blobs" and DIGEST.fullmatch(target.name)
    return target.name if is_blob else None


def expected_sha256(path: Path) -> str | None:
    """Return the digest of the cache blob behind a link if it is a sha256."""
    digest = blob_digest(path)
    return digest if digest and len(digest) == 64 else None


def fingerprint(path: Path) -> tuple[int, int]:
    """Return size in bytes and mtime in nanoseconds, which change with every write."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def marker_path(snapshot: Path) -> Path:
    return snapshot.parent.parent / ".sizeup" / f"{snapshot.name}.complete"


def read_marker(snapshot: Path) -> dict[str, tuple[int, int]]:
    """Return digest -> fingerprint of the verified blobs; empty without a marker."""
    try:
        verified = json.loads(marker_path(snapshot).read_bytes())["verified"]
        return {digest: (int(size), int(mtime)) for digest, (size, mtime) in verified.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_marker(snapshot: Path, files: Iterable[Path]) -> None:
    """Record atomically that these files of a snapshot are verified."""
    digests = {expected_sha256(path): fingerprint(path) for path in files}
    verified = {digest: print_ for digest, print_ in digests.items() if digest}
    path = marker_path(snapshot)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps({"verified": verified}))


def write_atomically(path: Path, text: str) -> None:
    """Create or replace an ASCII file by a rename; raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_text(text, encoding="ascii")
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
