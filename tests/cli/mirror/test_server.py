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
from sizeup.mirror.library import Library
from sizeup.mirror.server import InFlightLimit, Mirror
from sizeup_store.weights import find_model, verify
from sizeup_telemetry.drain import Drain

TOYS = Path(__file__).parents[3] / "models" / "toy"
FILES = tiny_model()
RESOLVE = f"/{PLAIN_ID}/resolve/main/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("mirror")
    (top / "secret.txt").write_text("secret")
    served = top / "served"
    tiny = write_plain(served / "tiny")
    (tiny / "deep").mkdir()
    (tiny / "deep" / "more.json").write_text("{}")
    (tiny / ".env").write_text("secret")
    (tiny / ".git").mkdir()
    (tiny / ".git" / "config").write_text("secret")
    (tiny / "outside.txt").symlink_to(top / "secret.txt")
    (served / "outside").symlink_to(TOYS / "toy-0.5m")
    write_cached(served)
    return served


@pytest.fixture(scope="module")
def mirror(folder: Path) -> Iterator[RunningMirror]:
    with running_mirror(folder) as running:
        yield running


@pytest.mark.parametrize("model_id", [PLAIN_ID, CACHED_ID])
def test_pull_from_the_mirror(mirror: RunningMirror, tmp_path: Path, model_id: str) -> None:
    snapshot = pull_from(mirror, model_id, tmp_path)
    assert find_model(model_id, None, tmp_path) == snapshot
    verify(snapshot)
    assert (snapshot / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_pulled_cache_can_be_mirrored(mirror: RunningMirror, tmp_path: Path) -> None:
    first = pull_from(mirror, PLAIN_ID, tmp_path / "first")
    with running_mirror(tmp_path / "first") as second:
        again = pull_from(second, PLAIN_ID, tmp_path / "second")
    assert again.name == first.name
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in first.iterdir()
    }


@pytest.mark.parametrize("model_id", [PLAIN_ID, CACHED_ID])
def test_huggingface_hub_downloads_from_the_mirror(
    mirror: RunningMirror, tmp_path: Path, model_id: str
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    snapshot = Path(
        huggingface_hub.snapshot_download(model_id, endpoint=mirror.url, cache_dir=tmp_path)
    )
    assert {name: (snapshot / name).read_bytes() for name in FILES} == FILES
    assert not (snapshot / ".env").exists()
    assert huggingface_hub.scan_cache_dir(tmp_path).warnings == []


def test_huggingface_hub_raises_its_own_errors(mirror: RunningMirror, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    errors = pytest.importorskip("huggingface_hub.errors")
    with pytest.raises(errors.RepositoryNotFoundError):
        hub.HfApi(endpoint=mirror.url).model_info("unknown/model")
    with pytest.raises(errors.RevisionNotFoundError):
        hub.HfApi(endpoint=mirror.url).model_info(PLAIN_ID, revision="v2")
    with pytest.raises(errors.EntryNotFoundError):
        hub.hf_hub_download(PLAIN_ID, "none.json", endpoint=mirror.url, cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/models/unknown/model", "RepoNotFound"),
        (f"/api/models/{PLAIN_ID}/revision/v2", "RevisionNotFound"),
        (f"/api/models/{CACHED_ID}/revision/{COMMIT[::-1]}", "RevisionNotFound"),
        (f"/api/models/{CACHED_ID}/revision/%2e%2e%2fmain", "RevisionNotFound"),
        (f"/api/models/{PLAIN_ID}/tree/main/nowhere", "EntryNotFound"),
        (RESOLVE + "none.json", "EntryNotFound"),
        (RESOLVE, "EntryNotFound"),
        (RESOLVE + "a%FF", "EntryNotFound"),
    ],
)
def test_a_404_has_the_headers_of_the_hub(mirror: RunningMirror, path: str, code: str) -> None:
    response = mirror.request(path)
    assert response.status == 404
    assert response.headers["X-Error-Code"] == code
    assert response.headers["X-Error-Message"]
    assert json.loads(response.body)["error"]


@pytest.mark.parametrize(
    "path",
    [
        RESOLVE + "../../secret.txt",
        RESOLVE + "%2e%2e/%2e%2e/secret.txt",
        RESOLVE + "..%2F..%2Fsecret.txt",
        RESOLVE + "deep/../../../secret.txt",
        RESOLVE + "outside.txt",
        RESOLVE + ".env",
        RESOLVE + ".git/config",
        RESOLVE + "/etc/passwd",
        "/sizeup/outside/resolve/main/config.json",
        "/sizeup/../resolve/main/secret.txt",
        "/../served/resolve/main/secret.txt",
        "/%2e%2e/served/resolve/main/secret.txt",
        "/sizeup/tiny/resolve/..%2F..%2F..%2Fmain/secret.txt",
        "/Qwen/Tiny/resolve/..%2F..%2F..%2F../secret.txt",
    ],
)
def test_files_outside_a_model_are_not_served(mirror: RunningMirror, path: str) -> None:
    response = mirror.request(path)
    assert response.status == 404
    assert b"secret" not in response.body.replace(b"secret.txt", b"")


def test_hidden_and_outside_files_are_not_listed(mirror: RunningMirror) -> None:
    siblings = json.loads(mirror.request(f"/api/models/{PLAIN_ID}").body)["siblings"]
    assert {entry["rfilename"] for entry in siblings} == {*FILES, "deep/more.json"}
    listed = json.loads(mirror.request("/api/models").body)
    assert [model["id"] for model in listed] == [CACHED_ID, PLAIN_ID]


def test_head_has_the_headers_of_get(mirror: RunningMirror) -> None:
    head = mirror.request(RESOLVE + WEIGHTS, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(FILES[WEIGHTS]))
    assert head.headers["X-Linked-Size"] == str(len(FILES[WEIGHTS]))
    assert head.headers["X-Linked-Etag"] == head.headers["ETag"] == f'"{sha256(FILES[WEIGHTS])}"'
    small = mirror.request(RESOLVE + "config.json", "HEAD")
    assert small.headers["ETag"] == f'"{git_blob_id(FILES["config.json"])}"'
    assert "X-Linked-Etag" not in small.headers
    commit = json.loads(mirror.request(f"/api/models/{PLAIN_ID}").body)["sha"]
    assert head.headers["X-Repo-Commit"] == small.headers["X-Repo-Commit"] == commit
    assert mirror.request(f"/{PLAIN_ID}/resolve/{commit}/config.json").body == FILES["config.json"]


def test_a_control_character_in_a_path_is_rejected(mirror: RunningMirror) -> None:
    response = mirror.request(RESOLVE + "a%00b")
    assert response.status == 400
    assert set(json.loads(response.body)) == {"error"}


def test_range_requests(mirror: RunningMirror) -> None:
    size = len(FILES[WEIGHTS])
    rest = mirror.request(RESOLVE + WEIGHTS, headers={"Range": "bytes=1000-"})
    assert (rest.status, rest.body) == (206, FILES[WEIGHTS][1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{size - 1}/{size}"
    beyond = mirror.request(RESOLVE + WEIGHTS, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert set(json.loads(beyond.body)) == {"error"}
    malformed = mirror.request(RESOLVE + WEIGHTS, headers={"Range": "bytes=x"})
    assert malformed.status == 400
    assert set(json.loads(malformed.body)) == {"error"}


def test_a_branch_may_have_a_slash(tmp_path: Path) -> None:
    write_cached(tmp_path, "refs/pr/1")
    with running_mirror(tmp_path) as mirror:
        assert mirror.request(f"/api/models/{CACHED_ID}/revision/main").status == 404
        described = mirror.request(f"/api/models/{CACHED_ID}/revision/refs%2Fpr%2F1")
        assert json.loads(described.body)["sha"] == COMMIT
        config = mirror.request(f"/{CACHED_ID}/resolve/refs%2Fpr%2F1/config.json")
        assert config.body == FILES["config.json"]


def test_changes_need_no_restart(tmp_path: Path) -> None:
    with running_mirror(tmp_path) as mirror:
        assert json.loads(mirror.request("/api/models").body) == []
        write_plain(tmp_path / "tiny")
        before = json.loads(mirror.request(f"/api/models/{PLAIN_ID}").body)["sha"]
        (tmp_path / "tiny" / "config.json").write_text('{"model_type": "qwen3"}')
        after = json.loads(mirror.request(f"/api/models/{PLAIN_ID}").body)["sha"]
        assert before != after
        assert mirror.request(f"/{PLAIN_ID}/resolve/{before}/config.json").status == 404


def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    size = 256 << 20
    snapshot = write_cached(tmp_path)
    with (snapshot.parents[1] / "blobs" / sha256(FILES[WEIGHTS])).open("r+b") as blob:
        blob.truncate(size)
    with running_mirror(tmp_path) as mirror:
        before = peak_bytes(mirror.process.pid)
        response = mirror.request(f"/{CACHED_ID}/resolve/main/{WEIGHTS}")
        assert len(response.body) == size
        assert peak_bytes(mirror.process.pid) - before < size / 8


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def test_sigterm_is_a_clean_exit(folder: Path) -> None:
    with running_mirror(folder) as mirror:
        mirror.process.send_signal(signal.SIGTERM)
        assert mirror.process.wait(DEADLINE_SECONDS) == 0


def test_a_missing_folder_or_port_in_use_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Command(capsys, monkeypatch, "mirror", str(tmp_path / "none"))
    assert (missing.code, missing.err) == (1, f"sizeup: {tmp_path / 'none'} is not a folder\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = Command(capsys, monkeypatch, "mirror", str(tmp_path), "--port", port)
    assert refused.code == 1
    assert f"port {port} on 127.0.0.1 is in use" in refused.err


def test_requests_over_the_limit_get_503() -> None:
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

        app = InFlightLimit(slow, 2)
        held = [asyncio.create_task(app({"type": "http"}, receive, send)) for _ in range(2)]
        await asyncio.sleep(0)
        await app({"type": "http"}, receive, send)
        release.set()
        await asyncio.gather(*held)
        await app({"type": "http"}, receive, send)
        return statuses

    assert asyncio.run(scenario()) == [503, 200, 200, 200]


def test_the_api_is_documented_offline(mirror: RunningMirror) -> None:
    document = json.loads(mirror.request("/openapi.json").body)
    assert set(document["paths"]) == {
        "/livez",
        "/readyz",
        "/api/models",
        "/api/models/{org}/{name}",
        "/api/models/{org}/{name}/revision/{revision}",
        "/api/models/{org}/{name}/tree/{rest}",
        "/{org}/{name}/resolve/{rest}",
    }
    page = mirror.request("/docs")
    assert page.status == 200
    assert b"https://" not in page.body


def test_the_documentation_can_be_disabled(tmp_path: Path) -> None:
    app = Mirror(Library(tmp_path), Drain()).app("127.0.0.1", api_docs=False)
    assert not [route for route in app.routes if getattr(route, "path", "") == "/docs"]


def test_an_unknown_path_has_the_body_of_a_hub_error(mirror: RunningMirror) -> None:
    assert json.loads(mirror.request("/nowhere").body).keys() == {"error"}
    assert mirror.request("/api/models", "POST").status == 405


@pytest.mark.parametrize("path", ["/", "/api/models", "/livez", "/openapi.json", RESOLVE + WEIGHTS])
def test_a_page_of_another_name_is_refused(mirror: RunningMirror, path: str) -> None:
    refused = mirror.request(path, headers={"Host": "evil.example"})
    assert refused.status == 403
    assert json.loads(refused.body).keys() == {"error"}


@pytest.mark.parametrize("host", ["localhost", "toys.localhost:8090", "[::1]:8090", "10.0.0.7"])
def test_local_names_are_served(mirror: RunningMirror, host: str) -> None:
    assert mirror.request("/api/models", headers={"Host": host}).status == 200


def test_a_mirror_of_a_cluster_has_the_name_of_its_service(folder: Path) -> None:
    with running_mirror(folder, "::" if socket.has_dualstack_ipv6() else "0.0.0.0") as mirror:
        named = {"Host": "sizeup-mirror.models.svc.cluster.local:8090"}
        assert mirror.request("/api/models", headers=named).status == 200
