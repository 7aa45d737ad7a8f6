"""The images that the cluster runs: targets of docker-bake.hcl, built from this checkout."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster.command import run
from images.bake import ROOT, TARGETS

TAG = "cluster-test"
REGISTRY = "docker.io/library"
"""The registry that Kubernetes assumes for a name without one, so the chart's names match."""
_BUILD_SECONDS = 3600.0
"""PyTorch with CUDA is 3 GB to download and 5 GB to pack."""
_STORE_SECONDS = 600.0
"""To write the largest image (5 GB) to a file."""

log = logging.getLogger(__name__)


class Builder(Protocol):
    """A program that builds images into a local store."""

    def build(self, name: str, torch_index: str) -> None:
        """Build a target of docker-bake.hcl as `reference_of(name)`; CommandError on failure."""

    def save(self, reference: str, archive: Path) -> None:
        """Write an image uncompressed as `docker save` does; containerd and kind import that."""

    def remove(self, reference: str) -> None:
        """Remove an image from the store if it is there; the layers it was built from stay."""


class Docker:
    """The Docker daemon and its store, by buildx."""

    def build(self, name: str, torch_index: str) -> None:
        """Build a target of docker-bake.hcl."""
        variables = {"REGISTRY": REGISTRY, "TAG": TAG, "TORCH_INDEX": torch_index}
        bake = ["docker", "buildx", "bake", "--load", name]
        run(bake, seconds=_BUILD_SECONDS, folder=ROOT, environment=os.environ | variables)

    def save(self, reference: str, archive: Path) -> None:
        """Write an image to a file."""
        run(["docker", "save", f"--output={archive}", reference], seconds=_STORE_SECONDS)

    def remove(self, reference: str) -> None:
        """Remove an image from the daemon's store."""
        # With --force an image that does not exist is no error.
        run(["docker", "image", "rm", "--force", reference], seconds=_STORE_SECONDS)


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image in a builder's store."""

    builder: Builder
    reference: str

    @contextlib.contextmanager
    def archive(self, folder: Path) -> Iterator[Path]:
        """Write it to a file that is deleted at the end: the largest has 5 GB."""
        archive = folder / "image.tar"
        try:
            self.builder.save(self.reference, archive)
            yield archive
        finally:
            archive.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove it from the store, which would grow by 5 GB with every change of a source."""
        self.builder.remove(self.reference)


def reference_of(name: str) -> str:
    """Return the name that these tests give the image of a target."""
    return TARGETS[name].reference(TAG, REGISTRY)


@contextlib.contextmanager
def built(builder: Builder, names: Sequence[str], torch_index: str) -> Iterator[list[SavedImage]]:
    """Build targets of docker-bake.hcl; their images are removed when the block ends or fails."""
    saved = [SavedImage(builder, reference_of(name)) for name in names]
    try:
        for name in names:
            log.info("building image %s", name)
            builder.build(name, torch_index)
        yield saved
    finally:
        for image in saved:
            image.remove()
