"""Created models in a file."""

import asyncio
import stat
from pathlib import Path

import pytest

from sizeup_gateway.created_models.document import MAX_BYTES
from sizeup_gateway.created_models.store import FileStore, StoreConflictError, StoreError


def test_a_text_is_read_as_it_was_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = FileStore(tmp_path / "new" / "folder" / "models.json", 1)
        empty = await store.read()
        assert empty.text == ""
        await store.write("模型", empty.version)
        assert (await store.read()).text == "模型"

    asyncio.run(scenario())
    file = tmp_path / "new" / "folder" / "models.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in file.parent.iterdir()} == {"models.json", "models.lock"}


def test_only_one_of_concurrent_writers_succeeds(tmp_path: Path) -> None:
    async def scenario() -> None:
        stores = [FileStore(tmp_path / "models.json", 1) for _ in range(8)]
        version = (await stores[0].read()).version
        writes = [store.write(str(i), version) for i, store in enumerate(stores)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        (winner,) = [i for i, result in enumerate(results) if result is None]
        assert sum(isinstance(result, StoreConflictError) for result in results) == 7
        assert (await stores[0].read()).text == str(winner)

    asyncio.run(scenario())


@pytest.mark.parametrize("content", [b"\xff", b"x" * (MAX_BYTES + 1)])
def test_an_unreadable_file_is_an_error_and_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "models.json"
    path.write_bytes(content)

    async def scenario() -> None:
        store = FileStore(path, 1)
        with pytest.raises(StoreError):
            await store.read()
        with pytest.raises(StoreError):
            await store.write("new", "")

    asyncio.run(scenario())
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def scenario() -> None:
        with pytest.raises(StoreError):
            await FileStore(tmp_path / "file" / "models.json", 1).write("new", "")
        with pytest.raises(StoreError):
            await FileStore(tmp_path, 1).read()

    asyncio.run(scenario())
