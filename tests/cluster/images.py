"""Builds the images for the cluster with docker or buildah, whichever is installed."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.build import RECIPES, ROOT, Images
from images.tools import Tool, find_tool

STORE = Path("/var/lib/sizeup-images")
"""buildah's storage, which caches layers across runs, like that of `make images`."""
TAG = "cluster-test"
_PAUSE = ROOT / "tests/cluster/controlplane/pause/Dockerfile"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image in the storage of the tool that built it."""

    tool: Tool
    reference: str

    @contextlib.contextmanager
    def archive(self, folder: Path) -> Iterator[Path]:
        """Save it to a file during the block. The largest is 5 GB."""
        archive = folder / "image.tar"
        try:
            self.tool.save(self.reference, archive)
            yield archive
        finally:
            archive.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove it from the storage, which would otherwise grow by 5 GB with every source change.

        The layers it was built from stay cached.
        """
        self.tool.remove([self.reference])


@contextlib.contextmanager
def built(names: Sequence[str], torch_index: str) -> Iterator[list[SavedImage]]:
    """Build images of `images.build.RECIPES` with the tag of these tests.

    They are removed from the storage when the block or the build ends.
    """
    images = Images(find_tool(STORE), TAG)
    saved = [SavedImage(images.tool, RECIPES[name].reference(TAG)) for name in names]
    try:
        for name in names:
            log.info("building image %s", name)
            images.build(name, torch_index)
        yield saved
    finally:
        for image in saved:
            image.remove()


def pause(program: Path) -> SavedImage:
    """Build the pause image, unless the storage has it."""
    tool = find_tool(STORE)
    reference = f"sizeup.test/{program.name.replace('-', ':')}"
    if not tool.has(reference):
        tool.build(_PAUSE, program.parent, reference, None, {"PROGRAM": program.name})
    return SavedImage(tool, reference)
