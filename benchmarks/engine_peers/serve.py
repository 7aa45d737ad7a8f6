"""The loop of a peer: load the model, then measure one load per line. Standard library only."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TextIO

from engine_peers.memory import peak_rss_bytes, reset_peak_rss
from engine_peers.messages import Load, Measurement, Model, PeerOptions, Ready, Timing

_BUFFER_BYTES = 8 << 20
"""Large enough that system calls cost nothing, small enough to stay out of the peak memory."""


class Peer(Protocol):
    """A model that generates."""

    model: Model

    def run(self, load: Load) -> Timing:
        """Generate for all streams of a load."""

    def peak_device_bytes(self) -> int:
        """Return the peak of the memory reserved on a GPU since the last call."""

    def close(self) -> None:
        """End every thread."""


def serve(make_peer: Callable[[PeerOptions], Peer]) -> None:
    """Serve the loads on standard input until it ends."""
    replies = _reply_channel()
    options = PeerOptions(**json.loads(sys.argv[1]))
    peer = _start(make_peer, options, replies)
    for line in sys.stdin:
        reset_peak_rss()
        timing = peer.run(Load(**json.loads(line)))
        _write(replies, Measurement(timing, peak_rss_bytes(), peer.peak_device_bytes()))
    peer.close()


def _start(make_peer: Callable[[PeerOptions], Peer], options: PeerOptions, replies: TextIO) -> Peer:
    files = weight_files(Path(options.weights))
    _read_seconds(files)  # fills the page cache
    read_seconds = _read_seconds(files)
    reset_peak_rss()
    started = time.perf_counter()
    peer = make_peer(options)
    peer.run(Load(streams=1, prompt=1, tokens=1, seed=0))
    load_seconds = time.perf_counter() - started
    size = sum(file.stat().st_size for file in files)
    _write(replies, Ready(peer.model, load_seconds, read_seconds, size, peak_rss_bytes()))
    return peer


def _reply_channel() -> TextIO:
    """Return standard output, and let everything else that prints write to standard error."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return channel


def weight_files(weights: Path) -> list[Path]:
    """Return the files that hold the weights of a model folder, or the one GGUF file."""
    return sorted(weights.glob("*.safetensors")) if weights.is_dir() else [weights]


def _read_seconds(files: list[Path]) -> float:
    buffer = bytearray(_BUFFER_BYTES)
    started = time.perf_counter()
    for file in files:
        with file.open("rb", buffering=0) as source:
            while source.readinto(buffer):
                pass
    return time.perf_counter() - started


def _write(replies: TextIO, message: Ready | Measurement) -> None:
    replies.write(json.dumps(asdict(message)) + "\n")
    replies.flush()
