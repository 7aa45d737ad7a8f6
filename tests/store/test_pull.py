import json
import os
from pathlib import Path

import pytest

from hub_server import (
    COMMIT,
    MODEL_ID,
    WEIGHTS,
    HubServer,
    Mode,
    running_hub,
    safetensors_bytes,
    sha256,
    tiny_model,
)
from sizeup_store.errors import (
    DiskError,
    HubRefusedError,
    InvalidOptionError,
)
from sizeup_store.hub import HubOptions
from sizeup_store.markers import marker_path
from sizeup_store.pull import pull
from sizeup_store.weights import find_model, verify
from store.pulling import (
    RecordingReport,
    is_loadable,
    partial_files,
    run_pull,
)


def test_a_pulled_model_is_found_and_loadable(hub: HubServer, tmp_path: Path) -> None:
    report = RecordingReport()
    snapshot = run_pull(hub, tmp_path, report=report)
    assert find_model(MODEL_ID, None, tmp_path) == snapshot
    verify(snapshot)
    assert marker_path(snapshot).is_file()
    assert report.downloaded == report.sizes
    assert partial_files(tmp_path) == []


def test_only_the_files_of_a_model_are_downloaded(hub: HubServer, tmp_path: Path) -> None:
    snapshot = run_pull(hub, tmp_path)
    assert {path.name for path in snapshot.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "LICENSE",
        WEIGHTS,
    }
    requested = {seen.path.rsplit("/", 1)[1] for seen in hub.seen}
    assert not {"pytorch_model.bin", "modeling_tiny.py", "README.md"} & requested


POOLING = {
    "modules.json": b'[{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]',
    "1_Pooling/config.json": b'{"pooling_mode_lasttoken": true}',
    "2_Dense/config.json": b"{}",
    "1_Pooling/pooling.py": b"raise SystemExit('code of the repository ran')",
    "onnx/1_Pooling/config.json": b"{}",
}


def test_the_pooling_of_an_embedding_model_is_downloaded_into_its_subfolder(
    tmp_path: Path,
) -> None:
    with running_hub(tiny_model() | POOLING) as hub:
        snapshot = run_pull(hub, tmp_path)
        files = {p.relative_to(snapshot).as_posix() for p in snapshot.rglob("*") if p.is_file()}
        assert {name for name in files if name in POOLING} == {
            "modules.json",
            "1_Pooling/config.json",
        }
        config = snapshot / "1_Pooling" / "config.json"
        assert config.read_bytes() == POOLING["1_Pooling/config.json"]
        assert config.readlink().parts[:-1] == ("..", "..", "..", "blobs")
        requests = len(hub.seen)
        assert run_pull(hub, tmp_path) == snapshot
        assert len(hub.seen) == requests + 1  # complete: only the description is read


def test_the_layout_is_the_hugging_face_cache(hub: HubServer, tmp_path: Path) -> None:
    run_pull(hub, tmp_path)
    repository = tmp_path / "models--Qwen--Tiny"
    assert (repository / "refs" / "main").read_text() == COMMIT
    link = repository / "snapshots" / COMMIT / WEIGHTS
    assert os.readlink(link) == f"../../blobs/{sha256(hub.files[WEIGHTS])}"


def test_huggingface_hub_finds_what_was_pulled(hub: HubServer, tmp_path: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    snapshot = run_pull(hub, tmp_path)
    found = huggingface_hub.snapshot_download(MODEL_ID, cache_dir=tmp_path, local_files_only=True)
    assert Path(found) == snapshot
    assert huggingface_hub.scan_cache_dir(tmp_path).warnings == []


def test_a_second_pull_downloads_nothing(hub: HubServer, tmp_path: Path) -> None:
    run_pull(hub, tmp_path)
    hub.seen.clear()
    run_pull(hub, tmp_path)
    assert [seen.path for seen in hub.seen] == [f"/api/models/{MODEL_ID}/revision/main"]


def test_a_second_pull_writes_nothing(hub: HubServer, tmp_path: Path) -> None:
    run_pull(hub, tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    report = RecordingReport()
    run_pull(hub, tmp_path, report=report)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert len(report.notes) == 1


def test_a_corrupt_small_file_is_downloaded_again(hub: HubServer, tmp_path: Path) -> None:
    tokenizer = run_pull(hub, tmp_path) / "tokenizer.json"
    tokenizer.resolve().write_bytes(b"{}")
    run_pull(hub, tmp_path)
    assert tokenizer.read_bytes() == hub.files["tokenizer.json"]


def test_a_complete_commit_needs_no_network(hub: HubServer, tmp_path: Path) -> None:
    first = run_pull(hub, tmp_path, revision=COMMIT)
    hub.seen.clear()
    assert run_pull(hub, tmp_path, revision=COMMIT) == first
    assert hub.seen == []


def test_an_endpoint_may_have_a_path_and_a_slash(tmp_path: Path) -> None:
    with running_hub(prefix="/mirrors/hf") as server:
        server.url += "/"
        run_pull(server, tmp_path)
    assert is_loadable(tmp_path)


@pytest.mark.parametrize("mode", [Mode.PLAIN_API, Mode.MOVED])
def test_head_replaces_digests_missing_from_the_api(
    hub: HubServer, tmp_path: Path, mode: Mode
) -> None:
    hub.mode = mode
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)
    assert any(seen.method == "HEAD" for seen in hub.seen)


def test_sharded_weights_are_downloaded_by_their_index(tmp_path: Path) -> None:
    shards = {f"model-{i}.safetensors": safetensors_bytes(1000, seed=i) for i in (1, 2)}
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = tiny_model() | shards | {"other.safetensors": b"not named by the index"}
    del files[WEIGHTS]
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    with running_hub(files) as server:
        snapshot = run_pull(server, tmp_path)
    verify(snapshot)
    assert not (snapshot / "other.safetensors").exists()


def test_the_token_goes_to_the_endpoint_and_not_to_the_store(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.mode = Mode.FORBIDDEN
    with pytest.raises(HubRefusedError):  # by the store, which gets no token
        run_pull(hub, tmp_path, token="hf_secret\n")
    sent = {seen.authorization for seen in hub.seen if seen.server == "hub"}
    assert sent == {"Bearer hf_secret"}
    assert {seen.authorization for seen in hub.seen if seen.server == "store"} == {None}


def test_an_unwritable_cache_is_named(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="file"):
        run_pull(hub, tmp_path / "file")


@pytest.mark.parametrize("revision", ["../main", "/etc", "a//b", "", "a b"])
def test_a_revision_cannot_be_a_path(hub: HubServer, tmp_path: Path, revision: str) -> None:
    with pytest.raises(InvalidOptionError, match="not a branch"):
        run_pull(hub, tmp_path, revision=revision)


@pytest.mark.parametrize("endpoint", ["huggingface.co", "ftp://x", "", "file:///etc"])
def test_an_endpoint_must_be_an_http_url(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="endpoint"):
        pull(HubOptions(endpoint, None, 1.0, 1, 0.0), MODEL_ID, "main", tmp_path, RecordingReport())


def test_transformers_loads_what_was_pulled(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    toy = Path(__file__).parents[2] / "models" / "toy" / "toy-0.5m"
    files = {path.name: path.read_bytes() for path in toy.iterdir()}
    with running_hub(files) as server:
        snapshot = run_pull(server, tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(snapshot, local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(snapshot, local_files_only=True)
    assert model.config.model_type == "qwen2"
    assert tokenizer.decode(tokenizer.encode("12 + 30")) == "12 + 30"
