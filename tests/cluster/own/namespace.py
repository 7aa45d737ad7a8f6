"""Namespaces of network, mounts and processes that the cluster lives in, and leaves by dying."""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from cluster.command import run

ADDRESS = "10.99.0.1"
"""Of the node, in a network that exists in the namespace only."""
_REAPER = Path(__file__).with_name("reaper.py")
_CLONE_NEWNET = 0x40000000
_SETUP_SECONDS = 30.0

# A pair of virtual cables gives the node an interface that is up; a dummy would need a module.
# Programs find the folders that they write below /run, /var/lib and /var/log in the run folder.
_SETUP = """
ip link set lo up
ip link add eth0 type veth peer name cable
ip addr add {address}/24 dev eth0
ip link set cable up
ip link set eth0 up
ip route add default dev eth0
echo 1 > /proc/sys/net/ipv4/ip_forward
mount -t tmpfs tmpfs /run
mkdir -p /run/netns {folder}/lib {folder}/log
mount --bind {folder}/lib /var/lib
mount --bind {folder}/log /var/log
"""


class Namespace:
    """Namespaces that end with the process that made them, even when it is killed."""

    def __init__(self, folder: Path) -> None:
        """Make them; what programs in it write goes below this folder."""
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *_unshare(), sys.executable, _REAPER],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # the terminal's Ctrl-C is for the tests
        )
        try:
            assert self._holder.stdout is not None
            self._holder.stdout.readline()  # printed by process 1 when it exists
            self.pid = _child_of(self._holder.pid)
            script = _SETUP.format(address=ADDRESS, folder=folder)
            run([*self.entered(), "sh", "-ec", script], seconds=_SETUP_SECONDS)
        except BaseException:
            self.end()
            raise

    def entered(self) -> list[str]:
        """Return the start of a command line that runs the rest inside."""
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--"]

    def start(self, argv: Sequence[str | Path], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program inside, which ends with the namespaces at the latest."""
        return subprocess.Popen(
            [*self.entered(), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Move this thread, and what it starts, into the cluster's network for a while."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            _set_network(there)
            yield
        finally:
            _set_network(here)
            os.close(there)
            os.close(here)

    def end(self) -> None:
        """End everything inside."""
        self._holder.kill()  # which kills process 1, which ends the rest
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


def _unshare() -> list[str]:
    kinds = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private")
    return ["unshare", *kinds, "--kill-child=KILL"]


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _set_network(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
