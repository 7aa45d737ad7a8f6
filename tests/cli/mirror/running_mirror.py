"""`sizeup mirror` as a process, folders to serve, and requests with raw paths."""

import http.client
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.children import DEADLINE_SECONDS, wait_until
from hub_server import COMMIT, git_blob_id, is_large, sha256, tiny_model
from sizeup.ports import free_loopback_ports
from sizeup_store.hub import HubOptions
from sizeup_store.pull import pull
from store.pulling import RecordingReport

PLAIN_ID = "sizeup/tiny"
CACHED_ID = "Qwen/Tiny"


@dataclass(frozen=True)
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class RunningMirror:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Response:
        """Request a path without normalizing it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "the mirror exited"
        try:
            return self.request("/readyz").status == 200
        except ConnectionRefusedError:
            return False


@contextmanager
def running_mirror(folder: Path, host: str = "127.0.0.1") -> Iterator[RunningMirror]:
    """Serve a folder during the block."""
    [port] = free_loopback_ports(1)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sizeup",
            "mirror",
            str(folder),
            "--host",
            host,
            "--port",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            mirror = RunningMirror(port, process)
            wait_until(mirror.is_ready)
            yield mirror
        finally:
            process.kill()


def write_plain(folder: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """Write a model folder like `save_pretrained` or `git clone`."""
    for name, content in (tiny_model() if files is None else files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_cached(cache: Path, reference: str = "main") -> Path:
    """Write a repository of a Hugging Face cache; return its snapshot."""
    repository = cache / "models--Qwen--Tiny"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for name, content in tiny_model().items():
        digest = sha256(content) if is_large(name) else git_blob_id(content)
        (repository / "blobs" / digest).write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{digest}")
    (repository / "refs" / reference).parent.mkdir(parents=True)
    (repository / "refs" / reference).write_text(COMMIT)
    return snapshot


def pull_from(mirror: RunningMirror, model_id: str, cache: Path, revision: str = "main") -> Path:
    hub = HubOptions(mirror.url, None, DEADLINE_SECONDS, attempts=3, backoff_seconds=0.01)
    return pull(hub, model_id, revision, cache, RecordingReport())
