"""The engine as in a pod: a read-only cache, no network, an ephemeral home."""

import hashlib
import signal
from pathlib import Path

import pytest

from inference.test_main import DEADLINE_SECONDS, TOY, free_port, generate, process, until_ready
from sizeup_store.markers import write_marker

MODEL = "sizeup/toy-0.5m"
COMMIT = "a" * 40


def cached_toy(cache: Path) -> None:
    """Create the cache of a pulled toy model, read-only."""
    repository = cache / "models--sizeup--toy-0.5m"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    for file in TOY.iterdir():
        content = file.read_bytes()
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
    write_marker(snapshot, snapshot.glob("*.safetensors"))
    (repository / "refs" / "main").write_text(COMMIT)
    for path in (cache, *cache.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and mtime of every file: root ignores permissions."""
    paths = (folder, *folder.rglob("*"))
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in paths}


def test_it_serves_from_a_read_only_cache_without_changing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, home = tmp_path / "cache", tmp_path / "home"
    home.mkdir()
    cached_toy(cache)
    before = seen(cache)
    nowhere = "http://127.0.0.1:9"  # any connection is refused
    environment = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HOME": str(home)}
    environment |= {"HTTPS_PROXY": nowhere, "HF_ENDPOINT": nowhere}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    with process(port, ENGINE="transformers", MODEL=MODEL) as running:
        until_ready(port)
        events = generate(port, {"kind": "text", "text": "12 + 30"})
        assert events[-1]["event"] == "finished"
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0
    assert seen(cache) == before
