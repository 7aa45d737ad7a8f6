"""Starts the processes of a Kubernetes cluster on this machine, and stops them."""

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
"""Deadline of one step; each takes seconds on an idle machine."""
_CTR_SECONDS = 600.0
"""Deadline of one call; importing the largest image takes longest."""
_RBAC = Path(__file__).with_name("rbac.yaml")

log = logging.getLogger(__name__)


class Processes:
    """One node and its control plane, with a log file per process."""

    def __init__(self, binaries: Binaries, folder: Path, logs: Path, pause: str) -> None:
        """Create namespaces and configuration in `folder`, which must not exist; start nothing."""
        self._folder = folder
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._folder.mkdir(parents=True)
        cgroups.make()
        with contextlib.ExitStack() as cleanup:
            self.namespace = Namespace(folder)
            cleanup.callback(self.namespace.close)
            cleanup.enter_context(self.namespace.network())
            credentials = Credentials(folder / "credentials", NODE)
            self.kubeconfig = credentials.kubeconfig("admin")
            self._programs = Programs(binaries, credentials, folder, pause)
            self._programs.write_files()
            self.kubectl = Kubectl(
                [binaries.kubernetes, "kubectl", "--kubeconfig", self.kubeconfig]
            )
            self._cleanup = cleanup.pop_all()

    def start_runtime(self) -> None:
        """Start containerd; images can be imported afterwards."""
        self._start("containerd", self._programs.containerd())
        self._wait("containerd", self._runtime_is_up)

    def start_control_plane(self) -> None:
        """Start the API server, controllers, scheduler and DNS."""
        self._start("etcd", self._programs.etcd())
        self._start("kube-apiserver", self._programs.apiserver())
        self._wait("kube-apiserver", self._api_is_up)
        self.kubectl("apply", f"--filename={_RBAC}")
        self._start("kube-controller-manager", self._programs.controllers())
        self._start("kube-scheduler", self._programs.scheduler())
        self._start("coredns", self._programs.dns())

    def start_node(self) -> None:
        """Start kubelet and kube-proxy; requires the pause image."""
        self._start("kubelet", self._programs.kubelet())
        self._start("kube-proxy", self._programs.proxy())
        self._wait("the node", self._node_is_ready)

    def ctr(self, *arguments: str | Path) -> str:
        """Return the output of ctr. Raises CommandError if it fails."""
        argv = [*self.namespace.enter_command(), "ctr", "--namespace=k8s.io", *arguments]
        return run(argv, seconds=_CTR_SECONDS)

    def check(self) -> None:
        """Raise RuntimeError with the end of the log of a process that has exited."""
        for name, process in self._running.items():
            if process.poll() is not None:
                log_end = (self._logs / f"{name}.log").read_text(errors="replace")[-4000:]
                raise RuntimeError(f"{name} exited:\n{log_end}")

    def stop(self) -> None:
        """Stop all processes and unmount everything below the folder."""
        self._cleanup.close()
        for process in self._running.values():
            process.wait()

    def _start(self, name: str, argv: Sequence[str | Path]) -> None:
        log.info("starting %s", name)
        with (self._logs / f"{name}.log").open("wb") as output:
            self._running[name] = self.namespace.start(argv, output)

    def _wait(self, name: str, is_up: Callable[[], bool]) -> None:
        def attempt() -> bool:
            self.check()
            return is_up()

        wait_for(attempt, name, _UP_SECONDS)

    def _runtime_is_up(self) -> bool:
        return _succeeds(lambda: self.ctr("version"))

    def _api_is_up(self) -> bool:
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
