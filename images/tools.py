"""Docker and buildah behind one interface: what building images and handing them on needs."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

_BUILD_SECONDS = 3600
"""PyTorch with CUDA is 3 GB to download and 5 GB to pack."""
_SHORT_SECONDS = 300
_CARRY_SECONDS = 3600
"""The image with CUDA has 5 GB, and a registry may be far away."""
_SHOWN_LINES = 40
_BUILDKIT = ("env", "DOCKER_BUILDKIT=1", "BUILDX_NO_DEFAULT_ATTESTATIONS=1")
"""Only the stages of the target, and no attestation beside the image, which kind cannot load."""
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class BuildError(Exception):
    """An image cannot be built here; the message says what is missing, or how the build ended."""


class Tool(Protocol):
    """A program that builds images."""

    def build(
        self,
        dockerfile: Path,
        context: Path,
        reference: str,
        target: str | None,
        arguments: Mapping[str, str],
    ) -> None:
        """Build a Dockerfile's target and name the image."""

    def pull(self, reference: str) -> None:
        """Fetch an image from its registry, or raise BuildError."""

    def adopt(self, archive: Path, reference: str) -> None:
        """Make an image of a root file system in a tar archive."""

    def has(self, reference: str) -> bool:
        """Tell whether the image is in the local store."""

    def size(self, reference: str) -> int:
        """Return the bytes of all layers, to three digits."""

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as `docker save` does, uncompressed; containerd and kind import that."""

    def push(self, reference: str, target: str) -> None:
        """Send an image to the registry that `target` names, under that name."""

    def remove(self, references: Sequence[str]) -> None:
        """Take images out of the local store; those that are not there are passed over."""

    def discard(self) -> None:
        """Free whatever belongs to this tool object alone."""


def run(argv: Sequence[str], seconds: float = _SHORT_SECONDS) -> str:
    """Return what a command prints, or raise BuildError with its last lines."""
    try:
        # Apart: buildah warns of what an interrupted build has left, beside what it is asked for.
        done = subprocess.run(argv, capture_output=True, timeout=seconds, check=False)
    except FileNotFoundError as error:
        raise BuildError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{' '.join(argv)}: not done after {seconds:.0f} s") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        said = output + done.stderr.decode(errors="replace")
        tail = "\n".join(said.splitlines()[-_SHOWN_LINES:])
        raise BuildError(f"{' '.join(argv)}: exit code {done.returncode}\n{tail}")
    return output


def _succeeds(argv: Sequence[str]) -> bool:
    try:
        run(argv)
    except BuildError:
        return False
    return True


def build_options(target: str | None, arguments: Mapping[str, str]) -> list[str]:
    """Return the options docker and buildah have in common."""
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    return [*options, f"--target={target}"] if target else options


class Docker:
    """The Docker daemon and its own store."""

    def build(
        self,
        dockerfile: Path,
        context: Path,
        reference: str,
        target: str | None,
        arguments: Mapping[str, str],
    ) -> None:
        """Build a Dockerfile's target and name the image."""
        options = build_options(target, arguments)
        named = [f"--file={dockerfile}", f"--tag={reference}"]
        run([*_BUILDKIT, "docker", "build", *named, *options, str(context)], _BUILD_SECONDS)

    def pull(self, reference: str) -> None:
        """Fetch an image from its registry, or raise BuildError."""
        run(["docker", "pull", "--quiet", reference])

    def adopt(self, archive: Path, reference: str) -> None:
        """Make an image of a root file system in a tar archive."""
        run(["docker", "import", str(archive), reference])

    def has(self, reference: str) -> bool:
        """Tell whether the image is in the local store."""
        # Not `image ls`: it finds nothing by a name that begins with docker.io.
        return _succeeds(["docker", "image", "inspect", "--format={{.Id}}", reference])

    def size(self, reference: str) -> int:
        """Return the bytes of all layers."""
        return int(run(["docker", "image", "inspect", "--format={{.Size}}", reference]))

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as `docker save` does."""
        run(["docker", "save", f"--output={archive}", reference], _CARRY_SECONDS)

    def push(self, reference: str, target: str) -> None:
        """Send an image to a registry; docker knows it by the name of where it goes."""
        run(["docker", "tag", reference, target])
        run(["docker", "push", "--quiet", target], _CARRY_SECONDS)

    def remove(self, references: Sequence[str]) -> None:
        """Take images out of the local store."""
        for reference in filter(self.has, references):
            run(["docker", "image", "rm", "--force", reference])

    def discard(self) -> None:
        """Do nothing: the daemon's store is everybody's."""


class Buildah:
    """Buildah with a store in a folder of its own, which goes with it."""

    def __init__(self, store: Path, *, cached: bool = True) -> None:
        """Name the folder; `cached` keeps layers, which the next build of a Dockerfile reuses."""
        self._store = store
        self._cached = cached

    def _command(self, *rest: str) -> list[str]:
        place = [f"--root={self._store / 'root'}", f"--runroot={self._store / 'run'}"]
        return ["buildah", *place, *rest]

    def build(
        self,
        dockerfile: Path,
        context: Path,
        reference: str,
        target: str | None,
        arguments: Mapping[str, str],
    ) -> None:
        """Build a Dockerfile's target and name the image."""
        # chroot asks for neither user namespaces nor cgroups, which containers often lack.
        options = ["--isolation=chroot", "--network=host", "--pull=false"]
        options += [f"--layers={str(self._cached).lower()}", *build_options(target, arguments)]
        if authority := arguments.get("PIP_CERT"):
            folder = Path(authority).parent
            options.append(f"--volume={folder}:{folder}:ro")
        named = [f"--file={dockerfile}", f"--tag={reference}"]
        run(self._command("bud", *named, *options, str(context)), _BUILD_SECONDS)

    def pull(self, reference: str) -> None:
        """Fetch an image from its registry, or raise BuildError."""
        run(self._command("pull", "--quiet", reference))

    def adopt(self, archive: Path, reference: str) -> None:
        """Make an image of a root file system in a tar archive."""
        container = run(self._command("from", "--quiet", "scratch")).strip()
        try:
            run(self._command("add", "--quiet", container, str(archive), "/"))
            run(self._command("commit", "--quiet", container, reference))
        finally:
            run(self._command("rm", container))

    def has(self, reference: str) -> bool:
        """Tell whether the image is in the local store."""
        return any(reference in image["names"] for image in self._images())

    def size(self, reference: str) -> int:
        """Return the bytes of all layers, to three digits."""
        sizes = [image["size"] for image in self._images() if reference in image["names"]]
        if not sizes:
            raise BuildError(f"{reference} is not in {self._store}")
        return read_size(str(sizes[0]))

    def _images(self) -> list[dict[str, Any]]:
        listed = json.loads(run(self._command("images", "--json")))
        return [{**image, "names": image["names"] or []} for image in listed or []]

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as `docker save` does."""
        place = f"docker-archive:{archive}:{reference}"
        flags = ["--quiet", "--disable-compression"]
        run(self._command("push", *flags, reference, place), _CARRY_SECONDS)

    def push(self, reference: str, target: str) -> None:
        """Send an image to a registry."""
        run(self._command("push", "--quiet", reference, f"docker://{target}"), _CARRY_SECONDS)

    def remove(self, references: Sequence[str]) -> None:
        """Take images out of the local store."""
        for reference in filter(self.has, references):
            run(self._command("rmi", "--force", reference))

    def discard(self) -> None:
        """Delete the store."""
        if self._store.exists():
            for mount in _mounts_below(self._store):
                run(["umount", "--lazy", str(mount)])
            shutil.rmtree(self._store)


def read_size(text: str) -> int:
    """Return the bytes buildah means by `5.41 GB`."""
    number, unit = text.split()
    return int(float(number) * _UNITS[unit.upper()])


def _mounts_below(folder: Path) -> list[Path]:
    """Return mount points below a folder, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [Path(_unescaped(line.split()[4])) for line in lines]
    inside = [point for point in points if point.is_relative_to(folder.resolve())]
    return sorted(inside, key=lambda point: len(point.parts), reverse=True)


def _unescaped(text: str) -> str:
    """Undo the kernel's octal escapes of blanks."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def find_tool(store: Path) -> Tool:
    """Return Docker where its daemon answers, else buildah with its images below `store`."""
    if shutil.which("docker") and _answers(["docker", "info"]):
        return Docker()
    if shutil.which("buildah") and os.geteuid() == 0:
        return Buildah(store)
    raise BuildError("images need a running Docker daemon, or buildah and root")


def _answers(argv: Sequence[str]) -> bool:
    try:
        run(argv)
    except BuildError:
        return False
    return True
