"""/livez and /readyz of a pull, by which gateways show its progress."""

import json
import socket
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from threading import Thread

from sizeup.ports import every_address
from sizeup_store.pull_report import PullProgress
from sizeup_wire import routes

_CLIENT_SECONDS = 10.0
"""A client that sends nothing must not keep a thread."""


def start_health(progress: PullProgress, port: int, address: str) -> tuple[BaseServer, Thread]:
    """Serve in a thread; raises OSError."""
    server = _Server((address, port), partial(_Handler, progress))
    thread = Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    return server, thread


class _Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if every_address() == "::" else socket.AF_INET


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS

    def __init__(self, progress: PullProgress, *arguments: object) -> None:
        self._progress = progress
        super().__init__(*arguments)  # type: ignore[arg-type]  # as the server passes them

    def do_GET(self) -> None:
        if self.path == routes.READYZ:
            self._send(503, self._readiness())
        elif self.path == routes.LIVEZ:
            self._send(200, {"state": "alive"})
        else:
            self._send(404, {"error": "not found"})

    def _readiness(self) -> dict[str, object]:
        now = self._progress
        stage = f"downloading {now.name}".rstrip()
        return {"state": "downloading", "stage": stage, "progress": now.fraction}

    def _send(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Probes are not logged."""
