"""The images of a run do not stay in the store, however it ends."""

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


def test_what_was_built_is_there_for_the_block_and_no_longer(store: RecordingTool) -> None:
    with images.built(NAMES, "") as saved:
        references = {image.reference for image in saved}
        assert references < store.images.keys()
        saved[0].remove()
    assert len(references) == len(NAMES)
    assert store.images.keys() == {PUBLIC_BASE}


def test_a_run_that_is_interrupted_leaves_nothing(store: RecordingTool) -> None:
    with pytest.raises(KeyboardInterrupt), images.built(NAMES, ""):
        raise KeyboardInterrupt
    assert store.images.keys() == {PUBLIC_BASE}


def test_building_that_is_interrupted_leaves_nothing(
    store: RecordingTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = store.build

    def build_the_first(*arguments: Any) -> None:
        really(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "build", build_the_first)
    with pytest.raises(KeyboardInterrupt), images.built(NAMES, ""):
        pass
    assert store.images.keys() == {PUBLIC_BASE}
