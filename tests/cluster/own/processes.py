"""The start of a Kubernetes on this machine, step by step, and its end."""

import contextlib
import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster.command import CommandError, run
from cluster.kubectl import Kubectl
from cluster.own import cgroups
from cluster.own.binaries import Binaries
from cluster.own.credentials import Credentials
from cluster.own.namespace import Namespace
from cluster.own.programs import NODE, Programs
from cluster.polling import wait_for

_UP_SECONDS = 180.0
"""Of one step; each takes seconds on a machine with nothing else to do."""
_CTR_SECONDS = 600.0
"""Of importing the largest image."""
_RIGHTS = Path(__file__).with_name("rbac.yaml")

log = logging.getLogger(__name__)


class Started:
    """A running Kubernetes: one node, its control plane, and a log file of each process."""

    def __init__(self, binaries: Binaries, folder: Path, logs: Path, pause: str) -> None:
        """Make ready to start it in a folder that does not exist yet."""
        self._folder = folder
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._folder.mkdir(parents=True)
        cgroups.make()
        with contextlib.ExitStack() as begun:
            self.namespace = Namespace(folder)
            begun.callback(self.namespace.end)
            begun.enter_context(self.namespace.network())
            credentials = Credentials(folder / "credentials", NODE)
            self.kubeconfig = credentials.kubeconfig("admin")
            self._programs = Programs(binaries, credentials, folder, pause)
            self._programs.write_files()
            self.kubectl = Kubectl(
                [binaries.kubernetes, "kubectl", "--kubeconfig", self.kubeconfig]
            )
            self._begun = begun.pop_all()

    def start_runtime(self) -> None:
        """Start what runs containers; images can be imported from then on."""
        self._start("containerd", self._programs.containerd())
        self._wait("containerd", self._runtime_answers)

    def start_control_plane(self) -> None:
        """Start what serves the API and acts on it."""
        self._start("etcd", self._programs.etcd())
        self._start("kube-apiserver", self._programs.apiserver())
        self._wait("kube-apiserver", self._api_answers)
        self.kubectl("apply", f"--filename={_RIGHTS}")
        self._start("kube-controller-manager", self._programs.controllers())
        self._start("kube-scheduler", self._programs.scheduler())
        self._start("coredns", self._programs.dns())

    def start_node(self) -> None:
        """Start what runs pods; it needs the image that holds a pod's namespaces."""
        self._start("kubelet", self._programs.kubelet())
        self._start("kube-proxy", self._programs.proxy())
        self._wait("the node", self._node_is_ready)

    def ctr(self, *arguments: str | Path) -> str:
        """Return what containerd's client prints; CommandError when it fails."""
        argv = [*self.namespace.entered(), "ctr", "--namespace=k8s.io", *arguments]
        return run(argv, seconds=_CTR_SECONDS)

    def check(self) -> None:
        """Raise RuntimeError, with the end of its log, when a process has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                said = (self._logs / f"{name}.log").read_text(errors="replace")[-4000:]
                raise RuntimeError(f"{name} has ended:\n{said}")

    def stop(self) -> None:
        """End every process; the folder is then free of mounts."""
        self._begun.close()
        for process in self._running.values():
            process.wait()

    def _start(self, name: str, argv: Sequence[str | Path]) -> None:
        log.info("starting %s", name)
        with (self._logs / f"{name}.log").open("wb") as output:
            self._running[name] = self.namespace.start(argv, output)

    def _wait(self, name: str, answers: Callable[[], bool]) -> None:
        def attempt() -> bool:
            self.check()
            return answers()

        wait_for(attempt, name, _UP_SECONDS)

    def _runtime_answers(self) -> bool:
        return _succeeds(lambda: self.ctr("version"))

    def _api_answers(self) -> bool:
        return _succeeds(lambda: self.kubectl("get", "--raw=/readyz"))

    def _node_is_ready(self) -> bool:
        node = self.kubectl.try_get(f"node/{NODE}")
        conditions = node["status"].get("conditions", []) if node else []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _succeeds(call: Callable[[], str]) -> bool:
    try:
        call()
    except CommandError:
        return False
    return True
