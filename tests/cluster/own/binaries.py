"""Build Kubernetes, CoreDNS and the pause program from their Go modules, once."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from cluster.command import run

SOURCES = Path(__file__).parent.parent / "controlplane"
KUBERNETES = "1.34.4"
"""The last line that runs on cgroup v1; the same number is in the module's go.mod."""
_BUILD_SECONDS = 2400.0
"""Kubernetes takes five minutes of two idle cores, several times as long beside other work."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the programs are; `kubernetes` is several, picked by its first argument."""

    kubernetes: Path
    coredns: Path
    pause: Path


def built(cache: Path) -> Binaries:
    """Return the programs, built into this folder where it has none of these sources."""
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
    unfinished = binary.with_suffix(".unfinished")
    run(
        ["nice", "go", "build", "-trimpath", "-ldflags", _linked(), "-o", unfinished, "."],
        seconds=_BUILD_SECONDS,
        folder=folder,
        environment=os.environ | {"CGO_ENABLED": "0"},
    )
    unfinished.rename(binary)


def _linked() -> str:
    """Kubernetes reads its version from what the linker was told; without it nodes have none."""
    major, minor, _patch = KUBERNETES.split(".")
    facts = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    said = (f"-X k8s.io/component-base/version.{name}={value}" for name, value in facts.items())
    return " ".join(("-s -w", *said))
