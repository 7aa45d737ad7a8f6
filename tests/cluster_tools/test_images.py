"""Images of a run are removed from the storage, however the run ends."""

from typing import Any

import pytest

from cluster import images
from images.build import PUBLIC_BASE
from images.test_build import RecordingTool

NAMES = ("gateway", "cli")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> RecordingTool:
    tool = RecordingTool(PUBLIC_BASE)
    monkeypatch.setattr(images, "find_tool", lambda _folder: tool)
    return tool


def test_images_exist_during_the_block_only(store: RecordingTool) -> None:
    with images.built(NAMES, "") as saved:
        references = {image.reference for image in saved}
        assert references < store.images.keys()
        saved[0].remove()
    assert len(references) == len(NAMES)
    assert store.images.keys() == {PUBLIC_BASE}


def test_interrupted_run_leaves_no_images(store: RecordingTool) -> None:
    with pytest.raises(KeyboardInterrupt), images.built(NAMES, ""):
        raise KeyboardInterrupt
    assert store.images.keys() == {PUBLIC_BASE}


def test_interrupted_build_leaves_no_images(
    store: RecordingTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = store.build

    def interrupted_build(*arguments: Any) -> None:
        build(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "build", interrupted_build)
    with pytest.raises(KeyboardInterrupt), images.built(NAMES, ""):
        pass
    assert store.images.keys() == {PUBLIC_BASE}
