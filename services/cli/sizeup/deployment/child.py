"""Run a service module in a process that dies with its parent.

`python -m sizeup.deployment.child PARENT_PID NAME MODULE` asks the kernel for a SIGKILL at the
parent's death, then runs the module as `python -m MODULE` would. The request is made after exec,
which is safe where code between fork and exec (preexec_fn) is not. Only Linux has it (prctl);
elsewhere a child outlives a parent that was killed with SIGKILL, and with no other signal.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
"""From linux/prctl.h."""
_NAME_BYTES = 15
"""Of a thread's name in Linux."""


def die_with(parent_pid: int) -> None:
    """Request SIGKILL at the parent's death; exit at once if it is dead already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # died before the request
        sys.exit(1)


def set_name(name: str) -> None:
    """Name the process for ps, top and the kernel's log."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:_NAME_BYTES])


def main() -> None:
    _, parent_pid, name, module = sys.argv
    die_with(int(parent_pid))
    set_name(name)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
