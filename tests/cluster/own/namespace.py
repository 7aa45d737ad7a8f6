"""Network, mount and PID namespaces of the cluster; they end with the process that created them."""

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
"""Node address, in a network that exists only inside the namespace."""
_REAPER = Path(__file__).with_name("reaper.py")
_CLONE_NEWNET = 0x40000000
_SETUP_SECONDS = 30.0

# A veth pair provides an interface that is up; a dummy device would need a kernel module.
# /run is a tmpfs, and /var/lib and /var/log are bind mounts of the run folder.
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
    """Namespaces that end with the process that created them, even if it is killed."""

    def __init__(self, folder: Path) -> None:
        """Create them; programs inside write below `folder`."""
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *_unshare(), sys.executable, _REAPER],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal must reach the tests only
        )
        try:
            assert self._holder.stdout is not None
            self._holder.stdout.readline()  # printed by PID 1 once it runs
            self.pid = _child_of(self._holder.pid)
            script = _SETUP.format(address=ADDRESS, folder=folder)
            run([*self.enter_command(), "sh", "-ec", script], seconds=_SETUP_SECONDS)
        except BaseException:
            self.close()
            raise

    def enter_command(self) -> list[str]:
        """Return the command line prefix that runs a program inside."""
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--"]

    def start(self, argv: Sequence[str | Path], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program inside; it ends with the namespaces at the latest."""
        return subprocess.Popen(
            [*self.enter_command(), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Move this thread and its child processes into the network namespace during the block."""
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            _set_network(inside)
            yield
        finally:
            _set_network(outside)
            os.close(inside)
            os.close(outside)

    def close(self) -> None:
        """Kill all processes inside."""
        self._holder.kill()  # its death kills PID 1, and with it all others
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


def _unshare() -> list[str]:
    kinds = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private")
    return ["unshare", *kinds, "--kill-child=KILL"]


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _set_network(descriptor: int) -> None:
    # os.setns requires Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
