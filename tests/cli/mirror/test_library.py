import asyncio
import os
from pathlib import Path

import pytest

from cli.mirror.running_mirror import CACHED_ID, PLAIN_ID, write_cached, write_plain
from hub_server import COMMIT, WEIGHTS, git_blob_id, sha256, tiny_model
from sizeup.mirror.library import Library, NotFoundError, Snapshot

FILES = tiny_model()


def snapshot_of(root: Path, model_id: str, revision: str = "main") -> Snapshot:
    return asyncio.run(Library(root).snapshot(model_id, revision))


def test_folders_and_caches_are_found_by_id(tmp_path: Path) -> None:
    write_plain(tmp_path / "tiny")
    write_plain(tmp_path / "Org" / "name")
    write_cached(tmp_path)
    (tmp_path / "empty").mkdir()
    assert Library(tmp_path).ids() == ["Org/name", CACHED_ID, PLAIN_ID]
    assert {file.name for file in snapshot_of(tmp_path, "Org/name").files} == set(FILES)


def test_a_folder_has_the_digests_of_a_hub(tmp_path: Path) -> None:
    write_plain(tmp_path / "tiny")
    digests = {file.name: file.digest for file in snapshot_of(tmp_path, PLAIN_ID).files}
    assert digests[WEIGHTS] == sha256(FILES[WEIGHTS])
    assert digests["config.json"] == git_blob_id(FILES["config.json"])


def test_the_commit_depends_on_names_and_contents(tmp_path: Path) -> None:
    for place in ("a", "b"):
        write_plain(tmp_path / place / "tiny")
    first, second = (snapshot_of(tmp_path / place, PLAIN_ID) for place in ("a", "b"))
    assert first.commit == second.commit
    assert snapshot_of(tmp_path / "a", PLAIN_ID, first.commit) == first
    (tmp_path / "b" / "tiny" / "LICENSE").rename(tmp_path / "b" / "tiny" / "LICENSE.txt")
    assert snapshot_of(tmp_path / "b", PLAIN_ID).commit != first.commit


def test_a_cache_is_served_with_the_digests_of_its_blobs(tmp_path: Path) -> None:
    snapshot = write_cached(tmp_path)
    (snapshot / WEIGHTS).resolve().write_bytes(b"changed")
    file = snapshot_of(tmp_path, CACHED_ID).file(WEIGHTS)
    assert file is not None
    assert file.digest == sha256(FILES[WEIGHTS])
    assert snapshot_of(tmp_path, CACHED_ID, COMMIT).commit == COMMIT


def test_a_dangling_link_is_not_listed(tmp_path: Path) -> None:
    snapshot = write_cached(tmp_path)
    (snapshot / WEIGHTS).resolve().unlink()
    assert snapshot_of(tmp_path, CACHED_ID).file(WEIGHTS) is None


def test_a_file_is_hashed_once(tmp_path: Path) -> None:
    write_plain(tmp_path / "tiny")

    async def twice() -> tuple[Snapshot, ...]:
        library = Library(tmp_path)
        first = await library.snapshot(PLAIN_ID, "main")
        weights = first.file(WEIGHTS)
        assert weights is not None
        stat = os.stat(weights.path)
        weights.path.write_bytes(b"\0" * stat.st_size)  # same size and, below, same mtime
        os.utime(weights.path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        return first, await library.snapshot(PLAIN_ID, "main")

    first, second = asyncio.run(twice())
    assert first == second


@pytest.mark.parametrize("model_id", ["sizeup/..", "../tiny", "tiny", "sizeup/none", "a/b/c", ""])
def test_an_id_cannot_be_a_path(tmp_path: Path, model_id: str) -> None:
    write_plain(tmp_path / "tiny")
    with pytest.raises(NotFoundError, match="Repository"):
        snapshot_of(tmp_path, model_id)


@pytest.mark.parametrize("revision", ["../main", "", "v1", "../../../tiny", COMMIT[::-1]])
def test_a_revision_cannot_be_a_path(tmp_path: Path, revision: str) -> None:
    write_plain(tmp_path / "tiny")
    write_cached(tmp_path)
    for model_id in (PLAIN_ID, CACHED_ID):
        with pytest.raises(NotFoundError, match="rev id"):
            snapshot_of(tmp_path, model_id, revision)


def test_a_folder_without_a_config_is_not_a_model(tmp_path: Path) -> None:
    plain = write_plain(tmp_path / "tiny")
    library = Library(tmp_path)
    (plain / "config.json").unlink()
    (plain / "config.json").mkdir()
    with pytest.raises(NotFoundError, match="Repository"):
        asyncio.run(library.snapshot(PLAIN_ID, "main"))
