"""Show what huggingface_hub's file download does with a faulty server, which `sizeup pull` avoids.

python benchmarks/hub_faults.py
"""

import io
import logging
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub.file_download import http_get
from huggingface_hub.utils.tqdm import disable_progress_bars

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hub_server import MODEL_ID, WEIGHTS, Mode, running_hub

SIZE = 30_000_000
CUT = 8_000_000
"""Bytes of each connection before it is closed; huggingface_hub writes chunks of 10 MiB."""
ENDLESS = 200
"""MB that a server sends after announcing 1 MB."""
GIVE_UP_SECONDS = 15.0
TIMEOUT_SECONDS = 1


def wrong_byte() -> str:
    with running_hub() as hub, tempfile.TemporaryDirectory() as cache:
        hub.mode = Mode.FLIPPED_BYTE
        file = huggingface_hub.hf_hub_download(
            MODEL_ID, WEIGHTS, endpoint=hub.url, cache_dir=cache, token=False
        )
        correct = Path(file).read_bytes() == hub.files[WEIGHTS]
    return f"returned a file; its content is correct: {correct}"


def broken_connections() -> str:
    def send(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(CUT))

    return _download(send, SIZE)


def endless_body() -> str:
    def send(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(ENDLESS):
            connection.sendall(bytes(1_000_000))

    return _download(send, 1_000_000)


def trickle() -> str:
    def send(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(bytes(10))
            time.sleep(0.5)

    huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT = TIMEOUT_SECONDS
    return _download(send, 1_000_000)


def _download(send: Callable[[socket.socket], None], size: int) -> str:
    outcome, file = [f"still waiting after {GIVE_UP_SECONDS:g} s"], io.BytesIO()

    def run(url: str) -> None:
        try:
            http_get(url, file, expected_size=size)
            outcome[0] = "returned"
        except Exception as error:  # noqa: BLE001 - any error is the result
            outcome[0] = type(error).__name__

    with _serving(send) as url:
        thread = threading.Thread(target=run, args=(url,), daemon=True)
        thread.start()
        thread.join(GIVE_UP_SECONDS)
        return f"{outcome[0]}; {file.tell()} bytes written"


@contextmanager
def _serving(send: Callable[[socket.socket], None]) -> Iterator[str]:
    def respond(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            try:
                send(connection)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=respond, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/file"


def main() -> None:
    logging.disable(logging.CRITICAL)
    disable_progress_bars()
    print(f"huggingface_hub {huggingface_hub.__version__}")
    print(f"one wrong byte, right size:           {wrong_byte()}")
    print(f"30 MB, closed after every 8 MB:       {broken_connections()}")
    print(f"1 MB announced, {ENDLESS} MB sent:          {endless_body()}")
    print(f"20 bytes/s, timeout of {TIMEOUT_SECONDS} s:          {trickle()}", flush=True)
    os._exit(0)  # the last download is still running


if __name__ == "__main__":
    main()
