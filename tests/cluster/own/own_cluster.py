"""A Kubernetes of our own: one at a time on a machine, and nothing of it left afterwards."""

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
from cluster.own.processes import Started
from cluster.release import CLAIM

_CACHE_SIZE = "1Ti"
"""As much as any claim asks for; nothing holds a folder to it."""

log = logging.getLogger(__name__)


class OwnCluster:
    """A running cluster, whose network this thread is in from now on."""

    node_address = ADDRESS

    def __init__(self, cache: Path, binaries: Binaries, pause: SavedImage) -> None:
        """Start it, when no other run has one; RuntimeError with the log of what failed."""
        self.logs = cache / "logs"
        self._folder = cache / "run"
        self._sweep()
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir()
        with contextlib.ExitStack() as begun:
            begun.callback(self._sweep)
            self._started = Started(binaries, self._folder, self.logs, pause.reference)
            begun.callback(self._started.stop)
            self.kubectl = self._started.kubectl
            self.cache_values: Json = {"storageClass": "-"}
            self.kubeconfig: Path | None = self._started.kubeconfig
            self._start(pause)
            self._begun = begun.pop_all()

    def _start(self, pause: SavedImage) -> None:
        self._started.start_runtime()
        self.load(pause)
        self._started.start_control_plane()
        self._started.start_node()
        log.info("the cluster is up; logs in %s", self.logs)

    def load(self, image: SavedImage) -> None:
        """Give the node an image."""
        log.info("loading %s", image.reference)
        with image.archive(self._folder) as archive:
            self._started.ctr("images", "import", archive)

    def check(self) -> None:
        """Raise RuntimeError, with its log, when a process of the cluster has ended by itself."""
        self._started.check()

    def make_cache(self, namespace: str) -> None:
        """Make a volume in a folder of the node, which the only claim of its kind then gets."""
        folder = self._folder / "lib" / f"cache-{namespace}"
        folder.mkdir()
        folder.chmod(0o777)  # pods write as their own users, and no driver changes the owner
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"cache-{namespace}"},
            "spec": {
                "capacity": {"storage": _CACHE_SIZE},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "storageClassName": "",
                # The same folder, where the node has it.
                "hostPath": {"path": f"/var/lib/{folder.name}", "type": "Directory"},
                "claimRef": {"namespace": namespace, "name": CLAIM},
            },
        }
        self.kubectl.apply(volume)

    def stop(self) -> None:
        """End it; only the logs stay."""
        self._begun.close()

    def _sweep(self) -> None:
        """Remove what is left of a run: its processes and mounts have died with it."""
        cgroups.remove()
        if self._folder.exists():
            shutil.rmtree(self._folder)


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock during the block; RuntimeError when another run holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another run is under way ({path} is locked)") from None
        yield
