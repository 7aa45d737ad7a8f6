"""The interface of a running cluster, independent of how it was started."""

from pathlib import Path
from typing import Protocol

from cluster.images import SavedImage
from cluster.kubectl import Json, Kubectl


class Cluster(Protocol):
    """A Kubernetes cluster with one node."""

    log_folder: Path
    kubectl: Kubectl
    kubeconfig: Path | None
    """None: the default of kubectl."""
    node_address: str
    """Address at which the tests reach node ports."""
    cache_values: Json
    """Value of modelCache that suits the volumes of this cluster."""

    def load(self, image: SavedImage) -> None:
        """Load an image on the node."""

    def create_cache(self, namespace: str) -> None:
        """Ensure that the cache claim of a release in this namespace can be bound."""

    def check(self) -> None:
        """Raise RuntimeError if a process of the cluster has exited."""
