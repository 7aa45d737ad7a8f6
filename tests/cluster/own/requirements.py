"""What a cluster of our own needs of the machine."""

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
"""A program, and Debian's package of it."""
CNI_FOLDER = Path("/usr/lib/cni")
_CNI_PACKAGE = "containernetworking-plugins"
_INSTALL_SECONDS = 600.0

log = logging.getLogger(__name__)


def why_not() -> str | None:
    """Return why no cluster can be started here, in a sentence for a person; None when it can."""
    if sys.platform != "linux":
        return f"needs Linux, and this is {sys.platform}; --cluster=kind uses a cluster you have"
    if os.geteuid() != 0:
        return "needs root, for namespaces, mounts and cgroups; --cluster=kind needs none"
    if missing_packages() and not shutil.which("apt-get"):
        return f"needs {', '.join(missing_packages())}, and there is no apt-get to install them"
    if not shutil.which("go"):
        return "needs Go 1.25 or newer (https://go.dev/dl) to build Kubernetes"
    return None


def missing_packages() -> list[str]:
    """Return the Debian packages whose programs are not here."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    return missing if (CNI_FOLDER / "bridge").exists() else [*missing, _CNI_PACKAGE]


def install_packages() -> None:
    """Install what is missing, asking nothing."""
    missing = missing_packages()
    if not missing:
        return
    log.info("installing %s", ", ".join(missing))
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Another installation may be under way on this machine: wait for it instead of failing.
    apt = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={_INSTALL_SECONDS:.0f}"]
    run([*apt, "update"], seconds=_INSTALL_SECONDS, environment=quiet)
    install = [*apt, "install", "--yes", "--no-install-recommends", *missing]
    run(install, seconds=2 * _INSTALL_SECONDS, environment=quiet)
