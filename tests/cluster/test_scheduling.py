"""Scheduling of the pods of gpu.yaml: the scheduler is real, the GPU nodes are API objects only."""

import time
from collections.abc import Callable, Iterator

import pytest

from cluster.cluster import Cluster
from cluster.kubectl import Json, Kubectl
from cluster.polling import wait_for
from cluster.release import Release

_LARGEST, _SECOND = "qwen1-5-72b", "qwen1-5-32b"
_PRODUCT = "NVIDIA-A100-SXM4-80GB"
_SCHEDULED_SECONDS = 120.0


class Nodes:
    """Node objects without machines; they stay Ready while keep_ready is called."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._gpus: dict[str, int] = {}

    def add(self, name: str, gpus: int) -> None:
        """Add one as GPU Feature Discovery and the NVIDIA device plugin would describe it."""
        labels = {"nvidia.com/gpu.product": _PRODUCT, "kubernetes.io/hostname": name}
        # Keeps other pods away, which no kubelet would run.
        taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
        self._gpus[name] = gpus
        self._kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": labels},
                "spec": {"taints": [taint]},
            }
        )
        self.keep_ready()

    def keep_ready(self) -> None:
        """Report the node status, as kubelets do every ten seconds to keep a node Ready."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True", "reason": "Tested", "lastHeartbeatTime": now}
        for name, gpus in self._gpus.items():
            capacity = {"cpu": "96", "memory": "1Ti", "ephemeral-storage": "4Ti", "pods": "110"}
            capacity["nvidia.com/gpu"] = str(gpus)
            status = {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}
            self._kubectl.patch(f"node/{name}", {"status": status}, "--subresource=status")

    def remove(self) -> None:
        """Remove them all."""
        for name in self._gpus:
            self._kubectl("delete", f"node/{name}", "--ignore-not-found")


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[Nodes]:
    made = Nodes(cluster.kubectl)
    yield made
    made.remove()


@pytest.fixture
def release(new_release: Callable[[str], Release]) -> Iterator[Release]:
    made = new_release("scheduling")
    # Without a shared volume, so that scheduling depends on GPUs only.
    made.install({"modelCache": {"mode": "ephemeral"}}, file="gpu.yaml")
    yield made
    made.helm("uninstall", "sizeup")
    # No kubelet reports their termination.
    made.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")


def test_largest_model_waits_for_a_node_with_enough_gpus(release: Release, nodes: Nodes) -> None:
    nodes.add("gpu-few", gpus=2)
    reason = wait_for(
        lambda: _reason(release, nodes, _LARGEST, "Insufficient"), "the reason", _SCHEDULED_SECONDS
    )
    assert "Insufficient nvidia.com/gpu" in reason
    bound = wait_for(lambda: _node(release, nodes, _SECOND), "a node", _SCHEDULED_SECONDS)
    assert bound == "gpu-few"

    nodes.add("gpu-many", gpus=8)
    bound = wait_for(lambda: _node(release, nodes, _LARGEST), "a node", _SCHEDULED_SECONDS)
    assert bound == "gpu-many"
    assert _gpus(release, _LARGEST) == "4"


def test_model_stays_pending_without_a_matching_node(release: Release, nodes: Nodes) -> None:
    nodes.add("gpu-other", gpus=8)
    key = "qwen1-5-0-5b"
    reason = wait_for(
        lambda: _reason(release, nodes, key, "affinity"), "the reason", _SCHEDULED_SECONDS
    )
    assert "didn't match Pod's node affinity/selector" in reason
    assert _node(release, nodes, key) is None


def _pod(release: Release, key: str) -> Json | None:
    return next(iter(release.pods(key)), None)


def _node(release: Release, nodes: Nodes, key: str) -> str | None:
    nodes.keep_ready()
    pod = _pod(release, key)
    return pod["spec"].get("nodeName") if pod else None


def _reason(release: Release, nodes: Nodes, key: str, word: str) -> str | None:
    """Return the message of PodScheduled once it contains `word`."""
    nodes.keep_ready()
    pod = _pod(release, key)
    conditions = pod["status"].get("conditions", ()) if pod else ()
    messages = (c.get("message", "") for c in conditions if c["type"] == "PodScheduled")
    return next((message for message in messages if word in message), None)


def _gpus(release: Release, key: str) -> str:
    pod = _pod(release, key)
    assert pod is not None
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    return str(limits["nvidia.com/gpu"])
