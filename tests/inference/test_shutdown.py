"""The process after SIGTERM."""

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from inference.test_main import DEADLINE_SECONDS, TOY, free_port, process, until_ready

LONG_SECONDS = "30"
"""A drain deadline that only a failing test reaches."""


class Stream(threading.Thread):
    """A stream read on a thread."""

    def __init__(self, port: int, max_tokens: int) -> None:
        super().__init__(daemon=True)
        self._url = f"http://127.0.0.1:{port}/internal/v1/generate"
        self._max_tokens = max_tokens
        self.started = threading.Event()
        self.events: list[dict[str, Any]] = []
        self.start()
        assert self.started.wait(DEADLINE_SECONDS)

    def run(self) -> None:
        body = {"prompt": {"kind": "text", "text": "hi"}, "ignore_eos": True}
        body |= {"max_tokens": self._max_tokens}
        request = urllib.request.Request(self._url, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
            for line in response:
                self.events.append(json.loads(line))
                self.started.set()

    def end(self) -> dict[str, Any]:
        self.join(DEADLINE_SECONDS)
        return self.events[-1]


def fetch(url: str, data: bytes | None = None) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, data, timeout=DEADLINE_SECONDS) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def until_draining(base: str) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while fetch(f"{base}/readyz") != (503, {"state": "draining"}):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_running_requests_finish_while_new_ones_are_rejected() -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with process(port, DRAIN_SECONDS=LONG_SECONDS, FAKE_TOKEN_SECONDS="0.02") as running:
        until_ready(port)
        stream = Stream(port, max_tokens=40)
        running.send_signal(signal.SIGTERM)
        until_draining(base)
        body = json.dumps({"prompt": {"kind": "text", "text": "x"}}).encode()
        status, failure = fetch(f"{base}/internal/v1/generate", body)
        assert (status, failure["code"]) == (503, "draining")
        assert stream.end()["event"] == "finished"
        assert stream.events[-1]["completion_tokens"] == 40
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0


def test_requests_beyond_the_drain_deadline_fail() -> None:
    port = free_port()
    with process(port, DRAIN_SECONDS="0.2", FAKE_TOKEN_SECONDS="0.02") as running:
        until_ready(port)
        stream = Stream(port, max_tokens=20_000)
        running.send_signal(signal.SIGTERM)
        end = stream.end()
        assert (end["event"], end["code"]) == ("failed", "draining")
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0


def test_a_loading_model_does_not_delay_shutdown() -> None:
    port = free_port()
    with process(
        port, ENGINE="transformers", MODEL=str(TOY), DRAIN_SECONDS=LONG_SECONDS
    ) as running:
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                if fetch(f"http://127.0.0.1:{port}/livez")[0] == 200:
                    break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=DEADLINE_SECONDS)
        assert running.returncode == 0
