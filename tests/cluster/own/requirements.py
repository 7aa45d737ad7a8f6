"""Requirements of a cluster that is started on this machine."""

import logging
import os
import shutil
import sys
from pathlib import Path

from cluster.command import run

PACKAGES = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "socat": "socat",
    "ip": "iproute2",
    "openssl": "openssl",
    "unshare": "util-linux",
}
"""Debian package by program."""
CNI_FOLDER = Path("/usr/lib/cni")
_CNI_PACKAGE = "containernetworking-plugins"
_INSTALL_SECONDS = 600.0

log = logging.getLogger(__name__)


def unavailable_reason() -> str | None:
    """Return why no cluster can be started here, or None if it can."""
    if sys.platform != "linux":
        return f"requires Linux, not {sys.platform}; use an existing cluster with --cluster=kind"
    if os.geteuid() != 0:
        return "requires root for namespaces, mounts and cgroups; --cluster=kind does not"
    if missing_packages() and not shutil.which("apt-get"):
        return f"requires {', '.join(missing_packages())}, and apt-get is not available"
    if not shutil.which("go"):
        return "requires Go 1.25 or newer (https://go.dev/dl) to build Kubernetes"
    return None


def missing_packages() -> list[str]:
    """Return the Debian packages whose programs are not installed."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    return missing if (CNI_FOLDER / "bridge").exists() else [*missing, _CNI_PACKAGE]


def install_packages() -> None:
    """Install the missing packages non-interactively."""
    missing = missing_packages()
    if not missing:
        return
    log.info("installing %s", ", ".join(missing))
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Wait for another apt process instead of failing on its lock.
    apt = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={_INSTALL_SECONDS:.0f}"]
    run([*apt, "update"], seconds=_INSTALL_SECONDS, environment=quiet)
    install = [*apt, "install", "--yes", "--no-install-recommends", *missing]
    run(install, seconds=2 * _INSTALL_SECONDS, environment=quiet)
