"""An installation of the chart in its own namespace."""

import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.cluster import Cluster
from cluster.command import run
from cluster.images import TAG
from cluster.kubectl import Json
from cluster.polling import wait_for
from images.bake import ROOT

CHART = ROOT / "charts/sizeup"
NAME = "sizeup"
"""Name of the release in each namespace, and so the prefix of its objects."""
CLAIM = f"{NAME}-cache"
_HELM_SECONDS = 300.0
"""Deadline of one helm call, including its hooks."""
_ROLLOUT_SECONDS = 240.0
"""For a few small pods on a busy machine with two cores."""

_CONNECT_SECONDS = 5.0

COMMON: Json = {
    "gateway": {
        "image": {"tag": TAG},
        # The tests connect from outside the pod network.
        "service": {"type": "NodePort"},
        "resources": {"requests": {"cpu": "10m"}},
        # Shorter than the defaults: responses in these tests are short.
        "drainSeconds": 30,
        "preStopSeconds": 3,
    },
    "auth": {"allowAnonymous": True},
    "inference": {
        "image": {"tag": TAG},
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
"""Values of every installation: locally built images, and requests that fit a small node."""


class Release:
    """A release of the chart."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Create its namespace, which enforces Pod Security "restricted"."""
        self.cluster = cluster
        self.namespace = namespace
        self.kubectl = cluster.kubectl.within(namespace)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": namespace, "labels": labels}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def install(self, values: Json, file: str | None = None, chart: Path = CHART) -> None:
        """Install or upgrade the chart without waiting.

        values: override COMMON, which overrides the preset `file` from the chart's values/.
        """
        files = [str(CHART / "values" / file)] if file else []
        with tempfile.NamedTemporaryFile("w", suffix=".json") as ours:
            json.dump(merged(COMMON, values), ours)
            ours.flush()
            options = (part for name in (*files, ours.name) for part in ("--values", name))
            self.helm("upgrade", "--install", NAME, str(chart), *options)

    def wait(self, *deployments: str, seconds: float = _ROLLOUT_SECONDS) -> None:
        """Wait until deployments (default: all) are rolled out and the Service accepts connections.

        Raises CommandError or TimeoutError.
        """
        names = deployments or tuple(sorted(self.kubectl.names("deployments")))
        for name in names:
            self.kubectl.rolled_out(f"deployment/{name}", seconds)
        # kube-proxy needs a moment to program a ready pod.
        port = self.node_port
        wait_for(lambda: _accepts(self.cluster.node_address, port), "the Service", seconds)

    def helm(self, *arguments: str) -> str:
        """Return the output of helm. Raises CommandError if it fails."""
        config = {"KUBECONFIG": str(self.cluster.kubeconfig)} if self.cluster.kubeconfig else {}
        argv = [_helm(), "--namespace", self.namespace, *arguments]
        return run(argv, seconds=_HELM_SECONDS, environment=os.environ | config)

    def releases(self) -> list[dict[str, str]]:
        """Return the releases in the namespace."""
        return list(json.loads(self.helm("list", "--output=json")))

    @property
    def url(self) -> str:
        """URL of the gateway's node port."""
        return f"http://{self.cluster.node_address}:{self.node_port}"

    @property
    def node_port(self) -> int:
        """Node port of the gateway's Service."""
        return int(self.kubectl.get(f"service/{NAME}-gateway")["spec"]["ports"][0]["nodePort"])

    def replicas(self, key: str) -> int:
        """Return the desired replicas of a model."""
        return int(self.kubectl.get(f"deployment/{NAME}-{key}")["spec"]["replicas"])

    def pods(self, key: str) -> list[Json]:
        """Return the pods of a model, without those of its downloads."""
        selector = f"app.kubernetes.io/component=inference,sizeup.dev/model={key}"
        return self.kubectl.items("pods", f"--selector={selector}")

    def uids(self) -> dict[str, str]:
        """Return the uid of every pod, by name."""
        found = self.kubectl.items("pods")
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}

    def terminating(self) -> set[str]:
        """Return the names of the terminating pods."""
        found = self.kubectl.items("pods")
        return {p["metadata"]["name"] for p in found if "deletionTimestamp" in p["metadata"]}

    def wait_terminated(self, seconds: float = _ROLLOUT_SECONDS) -> None:
        """Wait until no pod is terminating. Raises TimeoutError."""
        wait_for(lambda: not self.terminating(), "termination of the old pods", seconds)

    def delete(self) -> None:
        """Delete the namespace, without waiting."""
        self.kubectl("delete", f"namespace/{self.namespace}", "--wait=false")


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> Json:
    """Merge values as helm merges values files; `over` takes precedence."""
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
    """Return the helm of the virtual environment."""
    return str(Path(sys.executable).parent / "helm")
