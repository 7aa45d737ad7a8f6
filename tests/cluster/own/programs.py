"""The command lines and configuration files of a node and its control plane."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.own.binaries import Binaries
from cluster.own.credentials import SERVICE_NETWORK, Credentials
from cluster.own.namespace import ADDRESS
from cluster.own.requirements import CNI_FOLDER

NODE = "node-1"
CGROUP = "sizeup-cluster"
"""Parent of the pods' cgroups."""
CONTAINERD = "/run/containerd/containerd.sock"
_POD_NETWORK = "10.244.0.0/16"
_NODE_PODS = "10.244.0.0/24"
_ETCD = "http://127.0.0.1:2379"


@dataclass(frozen=True, slots=True)
class Programs:
    """Builds the command lines and writes the configuration files below a folder."""

    binaries: Binaries
    credentials: Credentials
    folder: Path
    pause_image: str

    def write_files(self) -> None:
        """Write the configuration files that the command lines refer to."""
        network = self.folder / "cni"
        network.mkdir()
        (network / "10-bridge.conflist").write_text(json.dumps(_pod_network()))
        (self.folder / "containerd.toml").write_text(_containerd(network, self.pause_image))
        (self.folder / "kubelet.json").write_text(json.dumps(_kubelet(self.credentials)))
        kubeconfig = self.credentials.kubeconfig("coredns")
        (self.folder / "Corefile").write_text(_COREFILE.format(kubeconfig=kubeconfig, ip=ADDRESS))

    def etcd(self) -> list[str | Path]:
        """Without fsync: the data is discarded after the run."""
        clients = ["--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD]
        data = ["--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync"]
        return ["etcd", *data, *clients, "--logger=zap", "--log-level=warn"]

    def apiserver(self) -> list[str | Path]:
        files = self.credentials
        return [
            self.binaries.kubernetes,
            "kube-apiserver",
            f"--etcd-servers={_ETCD}",
            f"--advertise-address={ADDRESS}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            "--kubelet-preferred-address-types=InternalIP",
            f"--tls-cert-file={files.certificate}",
            f"--tls-private-key-file={files.key}",
            f"--client-ca-file={files.authority}",
            f"--requestheader-client-ca-file={files.authority}",
            f"--token-auth-file={files.tokens}",
            f"--service-account-key-file={files.accounts_key}",
            f"--service-account-signing-key-file={files.accounts_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
        ]

    def controllers(self) -> list[str | Path]:
        return [
            *self._controller("kube-controller-manager"),
            "--use-service-account-credentials",
            "--allocate-node-cidrs",
            f"--cluster-cidr={_POD_NETWORK}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            f"--root-ca-file={self.credentials.authority}",
            f"--service-account-private-key-file={self.credentials.accounts_key}",
        ]

    def scheduler(self) -> list[str | Path]:
        return self._controller("kube-scheduler")

    def _controller(self, name: str) -> list[str | Path]:
        kubeconfig = self.credentials.kubeconfig(name)
        which = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
        flags = (f"--{flag}={kubeconfig}" for flag in which)
        return [self.binaries.kubernetes, name, *flags, "--leader-elect=false"]

    def containerd(self) -> list[str | Path]:
        return ["containerd", "--config", self.folder / "containerd.toml"]

    def kubelet(self) -> list[str | Path]:
        return [
            self.binaries.kubernetes,
            "kubelet",
            f"--config={self.folder / 'kubelet.json'}",
            f"--kubeconfig={self.credentials.kubeconfig('kubelet')}",
            f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}",
        ]

    def proxy(self) -> list[str | Path]:
        # Zero keeps the limits of the machine, which cannot be set from this namespace.
        limits = ("max-per-core", "tcp-timeout-established", "tcp-timeout-close-wait")
        return [
            self.binaries.kubernetes,
            "kube-proxy",
            f"--kubeconfig={self.credentials.kubeconfig('kube-proxy')}",
            f"--hostname-override={NODE}",
            f"--cluster-cidr={_POD_NETWORK}",
            *(f"--conntrack-{limit}=0" for limit in limits),
        ]

    def dns(self) -> list[str | Path]:
        return [self.binaries.coredns, "-conf", self.folder / "Corefile"]


_COREFILE = """.:53 {{
    bind {ip}
    errors
    ready {ip}:8181
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
    }}
}}
"""


def _containerd(network: Path, pause_image: str) -> str:
    # restrict_oom_score_adj: the process may lack the capability to lower oom_score_adj.
    return f"""version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_FOLDER}"
  conf_dir = "{network}"
"""


def _pod_network() -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": _NODE_PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, portmap]}


def _kubelet(credentials: Credentials) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Reachable only inside the network namespace.
        "authentication": {
            "anonymous": {"enabled": True},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(credentials.authority)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        # Images are imported and cannot be pulled again, so garbage collection is disabled.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi"},
        # Period after which a changed ConfigMap is updated in its pods; default one minute.
        "syncFrequency": "10s",
    }
