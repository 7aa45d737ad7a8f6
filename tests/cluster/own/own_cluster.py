"""A Kubernetes cluster started on this machine: one at a time, removed completely afterwards."""

import contextlib
import fcntl
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from cluster.images import SavedImage
from cluster.kubectl import Json
from cluster.own import cgroups
from cluster.own.binaries import Binaries
from cluster.own.namespace import ADDRESS
from cluster.own.processes import Processes
from cluster.release import CLAIM

_CACHE_SIZE = "1Ti"
"""Larger than any claim; the capacity of a hostPath volume is not enforced."""

log = logging.getLogger(__name__)


class OwnCluster:
    """A running cluster. The calling thread stays in its network namespace."""

    node_address = ADDRESS

    def __init__(self, cache: Path, binaries: Binaries, pause: SavedImage) -> None:
        """Start it. Raises RuntimeError with the log of the process that failed."""
        self.log_folder = cache / "logs"
        self._folder = cache / "run"
        self._sweep()
        shutil.rmtree(self.log_folder, ignore_errors=True)
        self.log_folder.mkdir()
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self._sweep)
            self._processes = Processes(binaries, self._folder, self.log_folder, pause.reference)
            cleanup.callback(self._processes.stop)
            self.kubectl = self._processes.kubectl
            self.cache_values: Json = {"storageClass": "-"}
            self.kubeconfig: Path | None = self._processes.kubeconfig
            self._start(pause)
            self._cleanup = cleanup.pop_all()

    def _start(self, pause: SavedImage) -> None:
        self._processes.start_runtime()
        self.load(pause)
        self._processes.start_control_plane()
        self._processes.start_node()
        log.info("the cluster is up; logs in %s", self.log_folder)

    def load(self, image: SavedImage) -> None:
        """Import an image on the node."""
        log.info("loading %s", image.reference)
        with image.archive(self._folder) as archive:
            self._processes.ctr("images", "import", archive)

    def check(self) -> None:
        """Raise RuntimeError with the log of a process that has exited unexpectedly."""
        self._processes.check()

    def create_cache(self, namespace: str) -> None:
        """Create a hostPath volume that is bound to the cache claim of this namespace."""
        folder = self._folder / "lib" / f"cache-{namespace}"
        folder.mkdir()
        folder.chmod(0o777)  # pods run as another user, and fsGroup does not apply to hostPath
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"cache-{namespace}"},
            "spec": {
                "capacity": {"storage": _CACHE_SIZE},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "storageClassName": "",
                # The path of `folder` in the mount namespace of the node.
                "hostPath": {"path": f"/var/lib/{folder.name}", "type": "Directory"},
                "claimRef": {"namespace": namespace, "name": CLAIM},
            },
        }
        self.kubectl.apply(volume)

    def stop(self) -> None:
        """Stop it; only the logs are kept."""
        self._cleanup.close()

    def _sweep(self) -> None:
        """Remove the cgroups and files of a run; its processes and mounts have ended with it."""
        cgroups.remove()
        if self._folder.exists():
            shutil.rmtree(self._folder)


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock during the block. Raises RuntimeError if it is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another run is in progress ({path} is locked)") from None
        yield
