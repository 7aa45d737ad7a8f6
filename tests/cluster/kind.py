"""A kind cluster that somebody has started: the one of kubectl's current context."""

import logging
import shutil
import tempfile
from pathlib import Path

from cluster.command import CommandError, run
from cluster.images import SavedImage
from cluster.kubectl import Json, Kubectl

_LOAD_SECONDS = 900.0
_PREFIX = "kind-"
"""kind calls the context of cluster X kind-X."""

log = logging.getLogger(__name__)


def why_not() -> str | None:
    """Return why there is no such cluster, in a sentence for a person; None when there is one."""
    missing = [program for program in ("kind", "kubectl") if not shutil.which(program)]
    if missing:
        return f"--cluster=kind needs {' and '.join(missing)}"
    context = _context()
    if context is None or not context.startswith(_PREFIX):
        return f"kubectl's current context is {context}, not that of a kind cluster"
    return None


class KindCluster:
    """The cluster of the current context; it stays when the tests are done."""

    def __init__(self, logs: Path) -> None:
        """Find its node; CommandError where it does not answer."""
        self.logs = logs
        self.kubeconfig: Path | None = None
        self.cache_values: Json = {"accessModes": ["ReadWriteOnce"]}
        self.kubectl = Kubectl(["kubectl"])
        self._name = str(_context()).removeprefix(_PREFIX)
        addresses = self.kubectl.items("nodes")[0]["status"]["addresses"]
        self.node_address = next(a["address"] for a in addresses if a["type"] == "InternalIP")

    def load(self, image: SavedImage) -> None:
        """Give the nodes an image."""
        log.info("loading %s", image.reference)
        with tempfile.TemporaryDirectory() as folder, image.archive(Path(folder)) as archive:
            load = ["kind", "load", "image-archive", str(archive), f"--name={self._name}"]
            run(load, seconds=_LOAD_SECONDS)

    def make_cache(self, namespace: str) -> None:
        """Leave it to kind's own class of volumes."""

    def check(self) -> None:
        """Its processes are not ours to watch."""


def _context() -> str | None:
    try:
        return run(["kubectl", "config", "current-context"], seconds=60).strip()
    except CommandError:
        return None
