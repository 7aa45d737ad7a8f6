"""An extended resource on the cluster's node, in place of a device plugin's GPUs."""

import json

from cluster.cluster import Cluster

RESOURCE = "example.com/gpu"


def advertise(cluster: Cluster, amount: int) -> None:
    """Let the node of the cluster have this many; the kubelet keeps them."""
    [node] = cluster.kubectl.names("nodes")
    path = f"/status/capacity/{RESOURCE.replace('/', '~1')}"
    patch = [{"op": "add", "path": path, "value": str(amount)}]
    options = ("--subresource=status", "--type=json", f"--patch={json.dumps(patch)}")
    cluster.kubectl("patch", f"node/{node}", *options)
