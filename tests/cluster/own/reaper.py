"""PID 1 of the cluster's namespaces: reaps orphaned processes.

When PID 1 of a PID namespace exits, the kernel kills all other processes in it; network and mount
namespaces are removed with their last process. So nothing outlives this process, however it ends.
"""

import os
import signal


def reap() -> None:
    """Reap all children that have exited."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


if __name__ == "__main__":
    # Ctrl-C in the terminal must reach the tests only; they stop this process after their cleanup.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGINT})
    print("ready", flush=True)
    while True:
        signal.sigwait({signal.SIGCHLD})
        reap()
