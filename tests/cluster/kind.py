"""An existing kind cluster: the one of kubectl's current context."""

import logging
import shutil
import tempfile
from pathlib import Path

from cluster.command import CommandError, run
from cluster.images import SavedImage
from cluster.kubectl import Json, Kubectl

_LOAD_SECONDS = 900.0
_PREFIX = "kind-"
"""kind names the context of cluster X kind-X."""

log = logging.getLogger(__name__)


def unavailable_reason() -> str | None:
    """Return why there is no such cluster, or None if there is one."""
    missing = [program for program in ("kind", "kubectl") if not shutil.which(program)]
    if missing:
        return f"--cluster=kind requires {' and '.join(missing)}"
    context = _context()
    if context is None or not context.startswith(_PREFIX):
        return f"kubectl's current context {context} is not a kind cluster"
    return None


class KindCluster:
    """The cluster of the current context; it is left running."""

    def __init__(self, logs: Path) -> None:
        """Look up its node. Raises CommandError if the API server is unreachable."""
        self.log_folder = logs
        self.kubeconfig: Path | None = None
        self.cache_values: Json = {"accessModes": ["ReadWriteOnce"]}
        self.kubectl = Kubectl(["kubectl"])
        self._name = str(_context()).removeprefix(_PREFIX)
        addresses = self.kubectl.items("nodes")[0]["status"]["addresses"]
        self.node_address = next(a["address"] for a in addresses if a["type"] == "InternalIP")

    def load(self, image: SavedImage) -> None:
        """Load an image on the nodes."""
        log.info("loading %s", image.reference)
        with tempfile.TemporaryDirectory() as folder, image.archive(Path(folder)) as archive:
            load = ["kind", "load", "image-archive", str(archive), f"--name={self._name}"]
            run(load, seconds=_LOAD_SECONDS)

    def create_cache(self, namespace: str) -> None:
        """No-op: the default storage class of kind provisions the volume."""

    def check(self) -> None:
        """No-op: its processes are not managed here."""


def _context() -> str | None:
    try:
        return run(["kubectl", "config", "current-context"], seconds=60).strip()
    except CommandError:
        return None
