"""The images of a run are removed from the store, however the run ends."""

import pytest

from cluster import images
from cluster_tools.recording_builder import RecordingBuilder

NAMES = ("gateway", "cli")


def test_images_exist_for_the_block_and_no_longer() -> None:
    store = RecordingBuilder()
    with images.built(store, NAMES, "") as saved:
        assert store.images == {image.reference for image in saved}
        saved[0].remove()
    assert len(saved) == len(NAMES)
    assert store.images == set()


def test_an_interrupted_run_leaves_no_image() -> None:
    store = RecordingBuilder()
    with pytest.raises(KeyboardInterrupt), images.built(store, NAMES, ""):
        raise KeyboardInterrupt
    assert store.images == set()


def test_an_interrupted_build_leaves_no_image() -> None:
    class Interrupted(RecordingBuilder):
        def build(self, name: str, torch_index: str) -> None:
            super().build(name, torch_index)
            raise KeyboardInterrupt

    store = Interrupted()
    with pytest.raises(KeyboardInterrupt), images.built(store, NAMES, ""):
        pass
    assert store.images == set()
