"""Describes the state of the cluster after a failed test."""

from cluster.cluster import Cluster
from cluster.command import CommandError
from cluster.kubectl import Json

_EVENTS = 40
_LOG_LINES = 60
_SYSTEM_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


def describe(cluster: Cluster) -> str:
    """Return pods, latest events and logs of all test namespaces."""
    try:
        names = sorted(cluster.kubectl.names("namespaces") - _SYSTEM_NAMESPACES)
        parts = [part for name in names for part in _namespace(cluster, name)]
    except CommandError as error:
        parts = [f"API server unavailable: {error}"]
    return "\n".join((*parts, f"logs of the cluster's processes: {cluster.log_folder}"))


def _namespace(cluster: Cluster, name: str) -> list[str]:
    kubectl = cluster.kubectl.within(name)
    pods = kubectl.items("pods")
    events = kubectl("get", "events", "--sort-by=.lastTimestamp").splitlines()[-_EVENTS:]
    logs = [_log(cluster, pod, container) for pod in pods for container in _containers(pod)]
    return [f"=== {name}", kubectl("get", "pods,jobs,pvc", "-o", "wide"), *events, *logs]


def _containers(pod: Json) -> list[str]:
    spec = pod["spec"]
    return [c["name"] for c in (*spec.get("initContainers", ()), *spec["containers"])]


def _log(cluster: Cluster, pod: Json, container: str) -> str:
    name = pod["metadata"]["name"]
    kubectl = cluster.kubectl.within(pod["metadata"]["namespace"])
    try:
        text = kubectl("logs", name, f"--container={container}", f"--tail={_LOG_LINES}")
    except CommandError as error:
        text = str(error)
    return f"--- {name}/{container}\n{text}"
