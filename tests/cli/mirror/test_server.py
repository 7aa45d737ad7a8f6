import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from cli.children import DEADLINE_SECONDS
from cli.command import Command
from cli.mirror.running_mirror import (
    CACHED_ID,
    PLAIN_ID,
    RunningMirror,
    pull_from,
    running_mirror,
    write_cached,
    write_plain,
)
from hub_server import COMMIT, WEIGHTS, git_blob_id, sha256, tiny_model
from sizeup.mirror.server import Bounded
from sizeup_store.weights import find_model, verify

TOYS = Path(__file__).parents[3] / "models" / "toy"
FILES = tiny_model()
RESOLVE = f"/{PLAIN_ID}/resolve/main/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("mirror")
    (top / "secret.txt").write_text("secret")
    shelf = top / "shelf"
    tiny = write_plain(shelf / "tiny")
    (tiny / "deep").mkdir()
    (tiny / "deep" / "more.json").write_text("{}")
    (tiny / ".env").write_text("secret")
    (tiny / ".git").mkdir()
    (tiny / ".git" / "config").write_text("secret")
    (tiny / "leads-out.txt").symlink_to(top / "secret.txt")
    (shelf / "leads-out").symlink_to(TOYS / "toy-0.5m")
    write_cached(shelf)
    return shelf


@pytest.fixture(scope="module")
def mirror(folder: Path) -> Iterator[RunningMirror]:
    with running_mirror(folder) as running:
        yield running


@pytest.mark.parametrize("model_id", [PLAIN_ID, CACHED_ID])
def test_pull_takes_a_model_from_it(mirror: RunningMirror, tmp_path: Path, model_id: str) -> None:
    snapshot = pull_from(mirror, model_id, tmp_path)
    assert find_model(model_id, None, tmp_path) == snapshot
    verify(snapshot)
    assert (snapshot / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_what_was_pulled_can_be_mirrored_in_turn(mirror: RunningMirror, tmp_path: Path) -> None:
    first = pull_from(mirror, PLAIN_ID, tmp_path / "first")
    with running_mirror(tmp_path / "first") as second:
        again = pull_from(second, PLAIN_ID, tmp_path / "second")
    assert again.name == first.name
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in first.iterdir()
    }


@pytest.mark.parametrize("model_id", [PLAIN_ID, CACHED_ID])
def test_huggingface_hub_takes_a_model_from_it(
    mirror: RunningMirror, tmp_path: Path, model_id: str
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    snapshot = Path(
        huggingface_hub.snapshot_download(model_id, endpoint=mirror.url, cache_dir=tmp_path)
    )
    assert {name: (snapshot / name).read_bytes() for name in FILES} == FILES
    assert not (snapshot / ".env").exists()
    assert huggingface_hub.scan_cache_dir(tmp_path).warnings == []


def test_huggingface_hub_tells_what_is_missing(mirror: RunningMirror, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    errors = pytest.importorskip("huggingface_hub.errors")
    with pytest.raises(errors.RepositoryNotFoundError):
        hub.HfApi(endpoint=mirror.url).model_info("nobody/nothing")
    with pytest.raises(errors.RevisionNotFoundError):
        hub.HfApi(endpoint=mirror.url).model_info(PLAIN_ID, revision="v2")
    with pytest.raises(errors.EntryNotFoundError):
        hub.hf_hub_download(PLAIN_ID, "none.json", endpoint=mirror.url, cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/models/nobody/nothing", "RepoNotFound"),
        (f"/api/models/{PLAIN_ID}/revision/v2", "RevisionNotFound"),
        (f"/api/models/{CACHED_ID}/revision/{COMMIT[::-1]}", "RevisionNotFound"),
        (f"/api/models/{CACHED_ID}/revision/%2e%2e%2fmain", "RevisionNotFound"),
        (f"/api/models/{PLAIN_ID}/tree/main/nowhere", "EntryNotFound"),
        (RESOLVE + "none.json", "EntryNotFound"),
        (RESOLVE, "EntryNotFound"),
        (RESOLVE + "a%00b%FF", "EntryNotFound"),
    ],
)
def test_a_404_is_in_the_hub_s_shape(mirror: RunningMirror, path: str, code: str) -> None:
    answer = mirror.ask(path)
    assert answer.status == 404
    assert answer.headers["X-Error-Code"] == code
    assert answer.headers["X-Error-Message"]
    assert json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    "path",
    [
        RESOLVE + "../../secret.txt",
        RESOLVE + "%2e%2e/%2e%2e/secret.txt",
        RESOLVE + "..%2F..%2Fsecret.txt",
        RESOLVE + "deep/../../../secret.txt",
        RESOLVE + "leads-out.txt",
        RESOLVE + ".env",
        RESOLVE + ".git/config",
        RESOLVE + "/etc/passwd",
        "/sizeup/leads-out/resolve/main/config.json",
        "/sizeup/../resolve/main/secret.txt",
        "/../shelf/resolve/main/secret.txt",
        "/%2e%2e/shelf/resolve/main/secret.txt",
        "/sizeup/tiny/resolve/..%2F..%2F..%2Fmain/secret.txt",
        "/Qwen/Tiny/resolve/..%2F..%2F..%2F../secret.txt",
    ],
)
def test_nothing_outside_a_model_can_be_read(mirror: RunningMirror, path: str) -> None:
    answer = mirror.ask(path)
    assert answer.status == 404
    assert b"secret" not in answer.body.replace(b"secret.txt", b"")


def test_nothing_hidden_or_outside_is_listed(mirror: RunningMirror) -> None:
    siblings = json.loads(mirror.ask(f"/api/models/{PLAIN_ID}").body)["siblings"]
    assert {entry["rfilename"] for entry in siblings} == {*FILES, "deep/more.json"}
    listed = json.loads(mirror.ask("/api/models").body)
    assert [model["id"] for model in listed] == [CACHED_ID, PLAIN_ID]


def test_head_promises_what_get_brings(mirror: RunningMirror) -> None:
    head = mirror.ask(RESOLVE + WEIGHTS, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(FILES[WEIGHTS]))
    assert head.headers["X-Linked-Size"] == str(len(FILES[WEIGHTS]))
    assert head.headers["X-Linked-Etag"] == head.headers["ETag"] == f'"{sha256(FILES[WEIGHTS])}"'
    small = mirror.ask(RESOLVE + "config.json", "HEAD")
    assert small.headers["ETag"] == f'"{git_blob_id(FILES["config.json"])}"'
    assert "X-Linked-Etag" not in small.headers
    commit = json.loads(mirror.ask(f"/api/models/{PLAIN_ID}").body)["sha"]
    assert head.headers["X-Repo-Commit"] == small.headers["X-Repo-Commit"] == commit
    assert mirror.ask(f"/{PLAIN_ID}/resolve/{commit}/config.json").body == FILES["config.json"]


def test_a_range_is_the_rest_of_the_file(mirror: RunningMirror) -> None:
    size = len(FILES[WEIGHTS])
    rest = mirror.ask(RESOLVE + WEIGHTS, headers={"Range": "bytes=1000-"})
    assert (rest.status, rest.body) == (206, FILES[WEIGHTS][1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{size - 1}/{size}"
    beyond = mirror.ask(RESOLVE + WEIGHTS, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_a_branch_may_have_a_slash(tmp_path: Path) -> None:
    write_cached(tmp_path, "refs/pr/1")
    with running_mirror(tmp_path) as mirror:
        assert mirror.ask(f"/api/models/{CACHED_ID}/revision/main").status == 404
        said = mirror.ask(f"/api/models/{CACHED_ID}/revision/refs%2Fpr%2F1")
        assert json.loads(said.body)["sha"] == COMMIT
        config = mirror.ask(f"/{CACHED_ID}/resolve/refs%2Fpr%2F1/config.json")
        assert config.body == FILES["config.json"]


def test_what_changes_is_seen_without_a_restart(tmp_path: Path) -> None:
    with running_mirror(tmp_path) as mirror:
        assert json.loads(mirror.ask("/api/models").body) == []
        write_plain(tmp_path / "tiny")
        before = json.loads(mirror.ask(f"/api/models/{PLAIN_ID}").body)["sha"]
        (tmp_path / "tiny" / "config.json").write_text('{"model_type": "qwen3"}')
        after = json.loads(mirror.ask(f"/api/models/{PLAIN_ID}").body)["sha"]
        assert before != after
        assert mirror.ask(f"/{PLAIN_ID}/resolve/{before}/config.json").status == 404


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    size = 256 << 20
    snapshot = write_cached(tmp_path)
    with (snapshot.parents[1] / "blobs" / sha256(FILES[WEIGHTS])).open("r+b") as blob:
        blob.truncate(size)
    with running_mirror(tmp_path) as mirror:
        before = peak_bytes(mirror.process.pid)
        answer = mirror.ask(f"/{CACHED_ID}/resolve/main/{WEIGHTS}")
        assert len(answer.body) == size
        assert peak_bytes(mirror.process.pid) - before < size / 8


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def test_sigterm_ends_it_well(folder: Path) -> None:
    with running_mirror(folder) as mirror:
        mirror.process.send_signal(signal.SIGTERM)
        assert mirror.process.wait(DEADLINE_SECONDS) == 0


def test_a_folder_or_port_that_cannot_be_had_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Command(capsys, monkeypatch, "mirror", str(tmp_path / "none"))
    assert (missing.code, missing.err) == (1, f"sizeup: {tmp_path / 'none'} is not a folder\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = Command(capsys, monkeypatch, "mirror", str(tmp_path), "--port", port)
    assert refused.code == 1
    assert f"port {port} on 127.0.0.1 is in use" in refused.err


def test_more_requests_than_it_can_hold_are_told_to_come_back() -> None:
    async def scenario() -> list[int]:
        release, statuses = asyncio.Event(), []

        async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        app = Bounded(slow, 2)
        held = [asyncio.create_task(app({"type": "http"}, receive, send)) for _ in range(2)]
        await asyncio.sleep(0)
        await app({"type": "http"}, receive, send)
        release.set()
        await asyncio.gather(*held)
        await app({"type": "http"}, receive, send)
        return statuses

    assert asyncio.run(scenario()) == [503, 200, 200, 200]
