"""Images without a Docker daemon: buildah builds the targets of docker-bake.hcl as root."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cluster.command import CommandError, run
from cluster.images import SavedImage, reference_of
from images.bake import BASE, ROOT, TARGETS

STORE = Path("/var/lib/sizeup-images")
"""Layers are kept here for the next run."""
PUBLIC_BASE = BASE
OWN_BASE = "docker.io/library/sizeup-base:bookworm"
"""Made from Debian's archive where no registry can be reached."""
_OWN_BASE_PACKAGES = "python3,python3-venv,ca-certificates"
_FROM_ENVIRONMENT = ("PIP_CERT", "PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PAUSE = ROOT / "tests/cluster/controlplane/pause/Dockerfile"
_BUILD_SECONDS = 3600.0
"""PyTorch with CUDA is 3 GB to download and 5 GB to pack."""
_STORE_SECONDS = 600.0
"""To write the largest image (5 GB) to a file, or to download and unpack a base."""


class Buildah:
    """Buildah with a store in a folder of its own."""

    def __init__(self, store: Path = STORE) -> None:
        """Use a store; the folder is created with the first image."""
        self._options = [f"--root={store / 'root'}", f"--runroot={store / 'run'}"]

    def build(self, name: str, torch_index: str) -> None:
        """Build a target of docker-bake.hcl as `reference_of(name)`; empty index: PyPI."""
        target = TARGETS[name]
        values = {"BASE": self._base(), "TORCH_INDEX": torch_index, **network_variables()}
        arguments = {
            argument: values[variable]
            for argument, variable in target.arguments.items()
            if variable in values
        }
        self._build(target.dockerfile, ROOT, reference_of(name), arguments, target.stage)

    def pause(self, program: Path) -> SavedImage:
        """Return the image that holds a pod's namespaces, built from its program once."""
        reference = f"sizeup.test/{program.name.replace('-', ':')}"
        if not self.has(reference):
            self._build(_PAUSE, program.parent, reference, {"PROGRAM": program.name}, None)
        return SavedImage(self, reference)

    def has(self, reference: str) -> bool:
        """Return whether the image is in the store."""
        listed = json.loads(self._run("images", "--json"))
        return any(reference in (image["names"] or []) for image in listed or [])

    def save(self, reference: str, archive: Path) -> None:
        """Write an image to a file."""
        target = f"docker-archive:{archive}:{reference}"
        self._run("push", "--quiet", "--disable-compression", reference, target)

    def remove(self, reference: str) -> None:
        """Remove an image from the store if it is there."""
        if self.has(reference):
            self._run("rmi", "--force", reference)

    def _build(
        self,
        dockerfile: Path,
        context: Path,
        reference: str,
        arguments: Mapping[str, str],
        stage: str | None,
    ) -> None:
        # chroot needs neither user namespaces nor cgroups, which containers often lack.
        options = ["--isolation=chroot", "--network=host", "--pull=false", "--layers=true"]
        options += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--target={stage}"] if stage else []
        if authority := arguments.get("PIP_CERT"):
            folder = Path(authority).parent
            options.append(f"--volume={folder}:{folder}:ro")
        named = [f"--file={dockerfile}", f"--tag={reference}"]
        self._run("bud", *named, *options, str(context), seconds=_BUILD_SECONDS)

    def _base(self) -> str:
        """Return Python's own image, or one made from Debian's archive without a registry."""
        for reference in (PUBLIC_BASE, OWN_BASE):
            if self.has(reference):
                return reference
        try:
            self._run("pull", "--quiet", PUBLIC_BASE)
        except CommandError:
            self._make_base()
            return OWN_BASE
        return PUBLIC_BASE

    def _make_base(self) -> None:
        """Make a small Debian with Python."""
        with tempfile.TemporaryDirectory(prefix="sizeup-base-") as folder:
            archive = Path(folder) / "rootfs.tar"
            options = ["--variant=minbase", f"--include={_OWN_BASE_PACKAGES}"]
            run(["mmdebstrap", *options, "bookworm", archive], seconds=_STORE_SECONDS)
            container = self._run("from", "--quiet", "scratch").strip()
            try:
                self._run("add", "--quiet", container, str(archive), "/")
                self._run("commit", "--quiet", container, OWN_BASE)
            finally:
                self._run("rm", container)

    def _run(self, *arguments: str, seconds: float = _STORE_SECONDS) -> str:
        return run(["buildah", *self._options, *arguments], seconds=seconds)


def network_variables() -> dict[str, str]:
    """Return the variables that configure how a build reaches the network, where set."""
    return {name: os.environ[name] for name in _FROM_ENVIRONMENT if os.environ.get(name)}
