"""The images that the cluster runs, built from this repository by what this machine has."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.build import RECIPES, ROOT, Images
from images.tools import Tool, find_tool

STORE = Path("/var/lib/sizeup-images")
"""Where buildah keeps layers for the next run, as `make images` does."""
TAG = "cluster-test"
_PAUSE = ROOT / "tests/cluster/controlplane/pause/Dockerfile"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image in the store of the tool that has built it."""

    tool: Tool
    reference: str

    @contextlib.contextmanager
    def archive(self, folder: Path) -> Iterator[Path]:
        """Write it to a file that is deleted at the end: the largest has 5 GB."""
        archive = folder / "image.tar"
        try:
            self.tool.save(self.reference, archive)
            yield archive
        finally:
            archive.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take it out of that store, which would grow by 5 GB with every change of a source.

        The layers that it was built from stay for the next time.
        """
        self.tool.remove([self.reference])


@contextlib.contextmanager
def built(names: Sequence[str], torch_index: str) -> Iterator[list[SavedImage]]:
    """Build images of `images.build.RECIPES` with the tag of these tests.

    What is still in the store when the block ends, or the building, is removed.
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
    """Build the image that holds a pod's namespaces from its program, once."""
    tool = find_tool(STORE)
    reference = f"sizeup.test/{program.name.replace('-', ':')}"
    if not tool.has(reference):
        tool.build(_PAUSE, program.parent, reference, None, {"PROGRAM": program.name})
    return SavedImage(tool, reference)
