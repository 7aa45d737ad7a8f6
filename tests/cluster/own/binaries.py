"""Builds Kubernetes, CoreDNS and the pause program from their Go modules, cached."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from cluster.command import run

SOURCES = Path(__file__).parent.parent / "controlplane"
KUBERNETES = "1.34.4"
"""The last minor version with cgroup v1 support; must match the module's go.mod."""
_BUILD_SECONDS = 2400.0
"""Kubernetes builds in five minutes on two idle cores; the rest is margin for a busy machine."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the programs; `kubernetes` combines several, selected by its first argument."""

    kubernetes: Path
    coredns: Path
    pause: Path


def built(cache: Path) -> Binaries:
    """Return the programs; builds those that `cache` does not hold for the present sources."""
    cache.mkdir(parents=True, exist_ok=True)
    return Binaries(*(_built(cache, name) for name in ("kubernetes", "coredns", "pause")))


def _built(cache: Path, name: str) -> Path:
    folder = SOURCES / name
    binary = cache / f"{name}-{_digest(folder)}"
    if not binary.exists():
        log.info("building %s (minutes, when Go's own cache is empty)", name)
        _build(folder, binary)
    return binary


def _digest(folder: Path) -> str:
    digest = hashlib.sha256(KUBERNETES.encode())
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _build(folder: Path, binary: Path) -> None:
    for old in binary.parent.glob(f"{folder.name}-*"):
        old.unlink()
    partial = binary.with_suffix(".partial")
    run(
        ["nice", "go", "build", "-trimpath", "-ldflags", _linker_flags(), "-o", partial, "."],
        seconds=_BUILD_SECONDS,
        folder=folder,
        environment=os.environ | {"CGO_ENABLED": "0"},
    )
    partial.rename(binary)


def _linker_flags() -> str:
    """Return the linker flags, which set the version that Kubernetes reports."""
    major, minor, _patch = KUBERNETES.split(".")
    variables = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    package = "k8s.io/component-base/version"
    flags = (f"-X {package}.{name}={value}" for name, value in variables.items())
    return " ".join(("-s -w", *flags))
