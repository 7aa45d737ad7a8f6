"""Process 1 of the cluster's namespaces: buries what dies there, and takes all with it.

The kernel ends every process of a process namespace with its first one, and the namespaces of
network and mounts with their last process. So nothing outlives this one, however it ended.
"""

import os
import signal


def reap() -> None:
    """Bury every child that has ended."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


if __name__ == "__main__":
    # Ctrl-C in the terminal is for the tests, which end this one when they have tidied up.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGINT})
    print("ready", flush=True)
    while True:
        signal.sigwait({signal.SIGCHLD})
        reap()
