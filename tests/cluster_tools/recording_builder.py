"""A builder of images that keeps their names only."""

from pathlib import Path

from cluster.images import reference_of


class RecordingBuilder:
    """The references in its store are `images`."""

    def __init__(self) -> None:
        self.images: set[str] = set()

    def build(self, name: str, torch_index: str) -> None:
        self.images.add(reference_of(name))

    def save(self, reference: str, archive: Path) -> None:
        archive.write_text(reference)

    def remove(self, reference: str) -> None:
        self.images.discard(reference)
