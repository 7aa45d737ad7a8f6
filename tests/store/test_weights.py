import hashlib
import json
import struct
from pathlib import Path

import pytest

from sizeup_inference.settings import Settings
from sizeup_store import markers, weights
from sizeup_store.settings import HubCacheSettings
from sizeup_store.weights import (
    ModelNotFoundError,
    StoredTensor,
    WeightsError,
    find_model,
    stored_tensors,
    verify,
)

COMMIT = "c" * 40
CONFIG = b'{"model_type": "qwen2"}'


def safetensors_bytes(data: bytes = b"\x01\x02\x03\x04") -> bytes:
    header = {"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}
    encoded = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def make_folder(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


def whole_model(folder: Path) -> Path:
    return make_folder(folder, config__json=CONFIG, model__safetensors=safetensors_bytes())


def cached_model(cache: Path, *, branch: str | None = "main") -> Path:
    """Write a model in the layout of huggingface_hub; return its snapshot."""
    repository = cache / "models--Qwen--tiny"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for name, content in (("config.json", CONFIG), ("model.safetensors", safetensors_bytes())):
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    if branch:
        (repository / "refs").mkdir()
        (repository / "refs" / branch).write_text(COMMIT)
    return snapshot


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert find_model(str(tmp_path), None, tmp_path / "cache") == tmp_path


@pytest.mark.parametrize(
    ("branch", "revision"), [("main", None), ("main", COMMIT), ("v1", "v1"), (None, COMMIT)]
)
def test_an_id_is_found_by_branch_and_by_commit(
    tmp_path: Path, branch: str | None, revision: str | None
) -> None:
    snapshot = cached_model(tmp_path, branch=branch)
    assert find_model("Qwen/tiny", revision, tmp_path) == snapshot


@pytest.mark.parametrize(
    ("model", "revision"),
    [
        ("Qwen/other", None),
        ("Qwen/tiny", "v2"),
        ("Qwen/tiny", "../../../etc"),
        ("Qwen/tiny", "d" * 40),
        ("../escape", None),
        ("no-such-folder", None),
    ],
)
def test_a_model_outside_the_cache_is_not_found(
    tmp_path: Path, model: str, revision: str | None
) -> None:
    cached_model(tmp_path)
    with pytest.raises(ModelNotFoundError, match=r"tiny|other|escape|no-such"):
        find_model(model, revision, tmp_path)


def test_an_intact_folder_and_snapshot_are_accepted(tmp_path: Path) -> None:
    verify(whole_model(tmp_path / "folder"))
    verify(cached_model(tmp_path / "cache"))


def test_shards_are_listed_by_the_index(tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}).encode()
    folder = make_folder(tmp_path, config__json=CONFIG)
    (folder / weights.WEIGHTS_INDEX).write_bytes(index)
    (folder / "m-1.safetensors").write_bytes(safetensors_bytes())
    with pytest.raises(WeightsError, match=r"m-2\.safetensors"):
        verify(folder)
    (folder / "m-2.safetensors").write_bytes(safetensors_bytes())
    verify(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"<html></html>"),
        ("config.json", b"[]"),
        ("config.json", b"\xff\xfe"),
        ("config.json", b'{"auto_map": {"AutoModel": "modeling_x.X"}}'),
        ("config.json", b'{"text_config": {"auto_map": {"AutoModel": "modeling_x.X"}}}'),
        ("config.json", b'{"_attn_implementation_internal": "someone/kernel"}'),
        ("model.safetensors", b""),
        ("model.safetensors", b"<!doctype html><html>busy</html>"),
        ("model.safetensors", safetensors_bytes()[:-1]),
        ("model.safetensors", safetensors_bytes() + b"x"),
        ("model.safetensors", struct.pack("<Q", 2**62) + b"{}"),
        ("model.safetensors", struct.pack("<Q", 2) + b"{}"),
        ("model.safetensors", struct.pack("<Q", 4) + b"null"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
    ],
)
def test_a_corrupt_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    folder = whole_model(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        verify(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = whole_model(tmp_path)
    (folder / name).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(WeightsError, match=name):
        verify(folder)


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/passwd", "x.bin", "a/b", ""])
def test_an_index_cannot_list_files_of_other_folders(tmp_path: Path, shard: str) -> None:
    folder = make_folder(tmp_path, config__json=CONFIG)
    (folder / weights.WEIGHTS_INDEX).write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(WeightsError, match="index"):
        verify(folder)


def test_a_dangling_link_is_an_error(tmp_path: Path) -> None:
    snapshot = cached_model(tmp_path)
    (snapshot / "model.safetensors").resolve().unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        verify(snapshot)


def test_a_flipped_byte_is_a_checksum_mismatch(tmp_path: Path) -> None:
    snapshot = cached_model(tmp_path)
    flip_last_byte((snapshot / "model.safetensors").resolve())
    with pytest.raises(WeightsError, match="checksum mismatch"):
        verify(snapshot)


def test_a_marker_replaces_the_checksum_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = cached_model(tmp_path)
    markers.write_marker(snapshot, [snapshot / "model.safetensors"])
    with monkeypatch.context() as patch:
        patch.setattr(weights, "sha256_of", lambda path: pytest.fail(f"{path} was read again"))
        verify(snapshot)
    flip_last_byte((snapshot / "model.safetensors").resolve())
    with pytest.raises(WeightsError, match="checksum mismatch"):
        verify(snapshot)


@pytest.mark.parametrize("marker", [b"", b"null", b'{"verified": 3}', b'{"verified": {"a": [1]}}'])
def test_an_invalid_marker_is_ignored(tmp_path: Path, marker: bytes) -> None:
    snapshot = cached_model(tmp_path)
    markers.marker_path(snapshot).parent.mkdir()
    markers.marker_path(snapshot).write_bytes(marker)
    verify(snapshot)


def test_a_blob_that_is_a_link_is_verified_by_its_name(tmp_path: Path) -> None:
    snapshot = cached_model(tmp_path / "cache")
    blob = (snapshot / "model.safetensors").resolve()
    blob.rename(tmp_path / "store")
    blob.symlink_to(tmp_path / "store")
    verify(snapshot)
    flip_last_byte(tmp_path / "store")
    with pytest.raises(WeightsError, match="checksum mismatch"):
        verify(snapshot)


@pytest.mark.parametrize(
    ("environment", "cache"),
    [
        ({}, "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "~/hf", "XDG_CACHE_HOME": "/x"}, "~/hf/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/legacy", "HF_HOME": "/hf"}, "/legacy"),
        ({"HF_HUB_CACHE": "$HOME/c", "HUGGINGFACE_HUB_CACHE": "/legacy"}, "~/c"),
    ],
)
def test_the_cache_folder_of_huggingface_hub(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], cache: str
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert HubCacheSettings().hub_cache == Path(cache).expanduser()
    assert Settings(model="m").hub_cache == Path(cache).expanduser()


def weights_bytes(name: str, shape: object) -> bytes:
    header = json.dumps({name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 12]}})
    return struct.pack("<Q", len(header)) + header.encode() + bytes(12)


def test_the_tensors_of_all_files_are_listed(tmp_path: Path) -> None:
    names = ("model-1.safetensors", "model-2.safetensors")
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (tmp_path / weights.WEIGHTS_INDEX).write_text(json.dumps(index))
    for tensor, name in zip("ab", names, strict=True):
        (tmp_path / name).write_bytes(weights_bytes(tensor, [2, 3]))
    assert stored_tensors(tmp_path) == [
        StoredTensor("a", "BF16", (2, 3)),
        StoredTensor("b", "BF16", (2, 3)),
    ]


@pytest.mark.parametrize("shape", [None, [-1], ["2"], [2**63], 7])
def test_a_tensor_without_a_valid_shape_is_rejected(tmp_path: Path, shape: object) -> None:
    (tmp_path / weights.SINGLE_WEIGHTS).write_bytes(weights_bytes("a", shape))
    with pytest.raises(WeightsError, match="'a'"):
        stored_tensors(tmp_path)
