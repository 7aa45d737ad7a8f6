"""The process that imports a service's dependencies once and forks its processes.

`python -m sizeup.deployment.fork_server PARENT_PID MODULE IMPORTS`, with a SOCK_SEQPACKET socket as
stdin. It imports IMPORTS, then forks a child per request. A request is the child's name and
environment as JSON, with two pipes: its output, and its status, to which the server writes the pid
and, after the exit, the exit code, one line each. The children share the memory of the imports copy
on write.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
from dataclasses import dataclass

from sizeup.deployment.child import die_with, set_name

REQUEST_BYTES = 1 << 18
"""Largest environment: above the default buffer of a socket, which fails first."""


@dataclass(frozen=True, slots=True)
class Request:
    """A child to fork."""

    name: str
    environment: dict[str, str]
    output: int
    """Write end of a pipe: stdout and stderr."""
    status: int
    """Write end of a pipe."""


@dataclass(frozen=True, slots=True)
class Forked:
    """A child that has not been waited for."""

    pid: int
    status: int


def serve(control: socket.socket) -> Request | None:
    """Fork children; return a child's request in the child, and None once the client has left."""
    with control, selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if isinstance(key.data, Forked):
                    selector.unregister(key.fd)
                    _report_exit(key.data, key.fd)
                    continue
                request = _receive(control)
                if request is None or (pid := os.fork()) == 0:
                    _close_files_of(selector)
                    return request
                _report_start(request, pid, selector)


def _receive(control: socket.socket) -> Request | None:
    message, files, _flags, _address = socket.recv_fds(control, REQUEST_BYTES, 2)
    return Request(*json.loads(message), *files) if message else None


def _report_start(request: Request, pid: int, selector: selectors.BaseSelector) -> None:
    os.close(request.output)
    _write_line(request.status, pid)
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, Forked(pid, request.status))


def _report_exit(child: Forked, pidfd: int) -> None:
    _, status = os.waitpid(child.pid, 0)
    _write_line(child.status, os.waitstatus_to_exitcode(status))
    os.close(child.status)
    os.close(pidfd)


def _write_line(pipe: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the client no longer waits
        os.write(pipe, b"%d\n" % number)


def _close_files_of(selector: selectors.BaseSelector) -> None:
    """Close the files of other children: their pipes must end with them."""
    for key in list(selector.get_map().values()):
        if isinstance(key.data, Forked):
            os.close(key.data.status)
            os.close(key.fd)


def become_child(request: Request, server_pid: int) -> None:
    """Give the forked process its session, environment and files, as a new process has them."""
    os.setsid()
    die_with(server_pid)
    set_name(request.name)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (request.output, 1), (request.output, 2)):
        os.dup2(source, target)
    for file in (null, request.output, request.status):
        os.close(file)
    os.environ.clear()  # noqa: TID251  # replaced, not read
    os.environ.update(request.environment)  # noqa: TID251


def main() -> None:
    """Read the command line, import, serve; in a child run the module as `python -m` would."""
    _, parent_pid, module, imports = sys.argv
    die_with(int(parent_pid))
    set_name("fork-server")
    # A failed import fails again in the child, whose log shows it.
    with contextlib.suppress(ImportError):
        importlib.import_module(imports)
    gc.collect()
    gc.freeze()  # a collection in a child would write to every object, and so copy its page
    server_pid = os.getpid()
    if request := serve(socket.socket(fileno=0)):
        become_child(request, server_pid)
        sys.argv = [module]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
