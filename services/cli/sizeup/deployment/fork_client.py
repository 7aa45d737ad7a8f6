"""Start children through a fork server, with the interface of process.start."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from sizeup.deployment import process
from sizeup.deployment.child_log import ChildLog
from sizeup.deployment.process import Command, Process

_GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""NVIDIA, AMD, and either in WSL."""

_FORK_SECONDS = 300.0
"""The first fork waits for the import of torch: 10 s, or minutes from a slow disk."""


def can_fork() -> bool:
    """Return whether children are forked: on Linux without a GPU.

    CUDA does not work in a fork of a process that has initialized it, and libraries may do so when
    they are imported.
    """
    return sys.platform == "linux" and not any(device.exists() for device in _GPU_DEVICES)


class ForkServer:
    """A fork server of one module, started with its first child. Belongs to one event loop."""

    def __init__(
        self, module: str, imports: str, environment: Mapping[str, str], log_path: Path
    ) -> None:
        """Children run `module`; the module `imports` is imported before, in this environment."""
        self._arguments = (module, imports)
        self._environment = environment
        self._log_path = log_path
        self._launching = asyncio.Lock()
        self._server: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None

    async def start(self, command: Command, log: ChildLog) -> Process:
        """Fork a child with the command's name and environment; if that fails, execute it."""
        log.start_tail()
        if child := await self._fork(command):
            return Process(child, log, child.close_pipe)
        return await process.start(command, log)

    async def close(self) -> None:
        """Kill the server, and with it the children that still run."""
        if self._control:
            self._control.close()
        if self._server:
            with contextlib.suppress(ProcessLookupError):
                self._server.kill()
            await self._server.wait()

    async def _fork(self, command: Command) -> "ForkedChild | None":
        """Return the child once it runs; None if the server ends before."""
        async with self._launching:
            control = await self._running_server()
        output, child_output = os.pipe()
        status, child_status = os.pipe()
        output_pipe, status_pipe = await _Pipe.open(output), await _Pipe.open(status)
        request = json.dumps((command.name, dict(command.environment))).encode()
        # After a failed request the pipes end without a pid, as when the server ends.
        with contextlib.suppress(OSError):
            socket.send_fds(control, [request], [child_output, child_status])
        os.close(child_output)
        os.close(child_status)
        if pid := await self._forked_pid(status_pipe):
            return ForkedChild(int(pid), output_pipe, status_pipe)
        output_pipe.close()
        status_pipe.close()
        return None

    async def _forked_pid(self, status: "_Pipe") -> bytes:
        """Return the line with the pid; nothing if the server has ended, or is killed as hung."""
        try:
            return await asyncio.wait_for(status.reader.readline(), _FORK_SECONDS)
        except TimeoutError:
            if self._server:
                self._server.kill()
            return b""

    async def _running_server(self) -> socket.socket:
        """Return the socket of the server; start one if none runs."""
        if self._control:
            if _is_connected(self._control):
                return self._control
            self._control.close()
        self._control, server_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with server_end, self._log_path.open("wb") as log:
            self._server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "sizeup.deployment.fork_server"),
                *(str(os.getpid()), *self._arguments),
                env=self._environment,
                stdin=server_end.fileno(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._control


def _is_connected(control: socket.socket) -> bool:
    """Return whether the other end, which sends nothing, is open."""
    try:
        return bool(control.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


class _Pipe:
    """The reading end of a pipe, in an event loop."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self.reader = reader
        self.close = transport.close

    @classmethod
    async def open(cls, file: int) -> "_Pipe":
        """Take over a file descriptor."""
        reader = asyncio.StreamReader(limit=process.LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(file, "rb", buffering=0)
        )
        return cls(reader, transport)


class ForkedChild:
    """A process.Child that belongs to the fork server, which reports its exit."""

    def __init__(self, pid: int, output: _Pipe, status: _Pipe) -> None:
        self.pid = pid
        self.stdout: asyncio.StreamReader | None = output.reader
        self.close_pipe = output.close
        self._status = status
        self._exit = asyncio.create_task(self._read_exit_code())

    @property
    def returncode(self) -> int | None:
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._exit)

    def terminate(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)

    async def _read_exit_code(self) -> int:
        try:
            code = await self._status.reader.readline()
        finally:
            self._status.close()
        # Without a code the server was killed, and the kernel has killed its children.
        return int(code) if code else -signal.SIGKILL
