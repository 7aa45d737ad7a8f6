"""What the tests need of a running cluster, whoever started it."""

from pathlib import Path
from typing import Protocol

from cluster.images import SavedImage
from cluster.kubectl import Json, Kubectl


class Cluster(Protocol):
    """A Kubernetes with one node that runs pods."""

    logs: Path
    kubectl: Kubectl
    kubeconfig: Path | None
    """None: kubectl's own."""
    node_address: str
    """Where a Service's node port answers to the tests."""
    cache_values: Json
    """modelCache of the chart, for the kind of volumes there are."""

    def load(self, image: SavedImage) -> None:
        """Give the node an image."""

    def make_cache(self, namespace: str) -> None:
        """See to it that a release in this namespace gets a volume."""

    def check(self) -> None:
        """Raise RuntimeError when a process of the cluster has ended by itself."""
