"""helm, from Python: one installation of the chart in a namespace of its own."""

import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.command import run
from cluster.images import TAG
from cluster.kubectl import Json
from cluster.running import Cluster
from cluster.waiting import wait_for
from images.bake import ROOT

CHART = ROOT / "charts/sizeup"
NAME = "sizeup"
"""Of the release in each namespace, and so the prefix of its objects."""
CLAIM = f"{NAME}-cache"
_HELM_SECONDS = 300.0
"""Of one call, whose hooks may run pods."""
_ROLLOUT_SECONDS = 240.0
"""Of a few small pods on a machine with two cores and other work."""

_CONNECT_SECONDS = 5.0

COMMON: Json = {
    "gateway": {
        "image": {"tag": TAG},
        # Reached from outside of the pods' network, by anybody there.
        "service": {"type": "NodePort"},
        "resources": {"requests": {"cpu": "10m"}},
        # Seconds for what takes minutes elsewhere: the answers of these tests are short.
        "drainSeconds": 30,
        "preStopSeconds": 3,
    },
    "auth": {"allowAnonymous": True},
    "inference": {
        "image": {"tag": TAG},
        "fakeImage": {"tag": f"{TAG}-fake"},
        "drainSeconds": 30,
        "preStopSeconds": 3,
    },
    "mirror": {"image": {"tag": TAG}},
    "modelCache": {"download": {"image": {"tag": TAG}, "resources": {"requests": {"cpu": "10m"}}}},
    "profiles": {
        "cpu": {
            "resources": {
                "requests": {"cpu": "10m", "memory": "128Mi"},
                "limits": {"cpu": "2", "memory": "1Gi"},
            }
        }
    },
}
"""What every installation here has: images built here, and requests that fit a small node."""


class Release:
    """An installation."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Make its namespace, where Pod Security lets in only what is restricted."""
        self.cluster = cluster
        self.namespace = namespace
        self.kubectl = cluster.kubectl.within(namespace)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": namespace, "labels": labels}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def install(self, values: Json, file: str | None = None, chart: Path = CHART) -> None:
        """Install the chart, or upgrade it, and wait for nothing.

        values: over those of these tests, over the named file of the chart's values/.
        """
        files = [str(CHART / "values" / file)] if file else []
        with tempfile.NamedTemporaryFile("w", suffix=".json") as ours:
            json.dump(merged(COMMON, values), ours)
            ours.flush()
            given = (part for name in (*files, ours.name) for part in ("--values", name))
            self.helm("upgrade", "--install", NAME, str(chart), *given)

    def wait(self, *deployments: str, seconds: float = _ROLLOUT_SECONDS) -> None:
        """Wait until deployments, all by default, are rolled out and the Service leads there.

        CommandError or TimeoutError when they are late.
        """
        names = deployments or tuple(sorted(self.kubectl.names("deployments")))
        for name in names:
            self.kubectl.rolled_out(f"deployment/{name}", seconds)
        # A moment passes before every node has heard of a ready pod.
        port = self.node_port
        wait_for(lambda: _accepts(self.cluster.node_address, port), "the Service", seconds)

    def helm(self, *arguments: str) -> str:
        """Return what helm prints; CommandError when it fails."""
        config = {"KUBECONFIG": str(self.cluster.kubeconfig)} if self.cluster.kubeconfig else {}
        argv = [_helm(), "--namespace", self.namespace, *arguments]
        return run(argv, seconds=_HELM_SECONDS, environment=os.environ | config)

    def releases(self) -> list[dict[str, str]]:
        """Return what helm lists in the namespace."""
        return list(json.loads(self.helm("list", "--output=json")))

    @property
    def url(self) -> str:
        """Where the gateway's Service answers."""
        return f"http://{self.cluster.node_address}:{self.node_port}"

    @property
    def node_port(self) -> int:
        """The port of the gateway's Service on each node."""
        return int(self.kubectl.get(f"service/{NAME}-gateway")["spec"]["ports"][0]["nodePort"])

    def replicas(self, key: str) -> int:
        """Return the number of pods that a size is to have."""
        return int(self.kubectl.get(f"deployment/{NAME}-{key}")["spec"]["replicas"])

    def pods(self, key: str) -> list[Json]:
        """Return the pods of a size."""
        return self.kubectl.items("pods", f"--selector=sizeup.dev/model={key}")

    def uids(self) -> dict[str, str]:
        """Return the names of all pods to their uids."""
        found = self.kubectl.items("pods")
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}

    def leaving(self) -> set[str]:
        """Return the names of the pods that have been told to go."""
        found = self.kubectl.items("pods")
        return {p["metadata"]["name"] for p in found if "deletionTimestamp" in p["metadata"]}

    def wait_gone(self, seconds: float = _ROLLOUT_SECONDS) -> None:
        """Wait until every pod that has been told to go is gone; TimeoutError when one stays."""
        wait_for(lambda: not self.leaving(), "end of the old pods", seconds)

    def remove(self) -> None:
        """Take away the namespace with all that is in it."""
        self.kubectl("delete", f"namespace/{self.namespace}", "--wait=false")


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> Json:
    """Return values with others over them, as helm merges files."""
    both = dict(values)
    for key, value in over.items():
        known = both.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = merged(known, value)
        both[key] = value
    return both


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _helm() -> str:
    """Return the client that the virtual environment has."""
    return str(Path(sys.executable).parent / "helm")
