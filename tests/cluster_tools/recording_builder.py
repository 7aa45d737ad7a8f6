"""An image builder that records only the image names."""

from pathlib import Path

from cluster.images import reference_of


class RecordingBuilder:
    """`images` are the references in its store."""

    def __init__(self) -> None:
        self.images: set[str] = set()

    def build(self, name: str, torch_index: str) -> None:
        self.images.add(reference_of(name))

    def save(self, reference: str, archive: Path) -> None:
        archive.write_text(reference)

    def remove(self, reference: str) -> None:
        self.images.discard(reference)
