"""Peers as processes: loads in, measurements out."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from engine_peers.messages import Load, PeerOptions
from engine_peers.process import LineProcess, PeerError, PeerProcess

TOY = Path(__file__).parents[2] / "models" / "toy" / "toy-0.5m"
PEER = """
from engine_peers.messages import Model, timing
from engine_peers.serve import serve

class Peer:
    def __init__(self, options):
        self.model = Model(options.device, 10, 1, 1)
    def run(self, load):
        print("this line is not an answer")
        return timing(0.0, [[float(i) for i in range(1, load.tokens + 1)]] * load.streams)
    def peak_device_bytes(self):
        return 7
    def close(self):
        print("closed")

serve(Peer)
"""


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[LineProcess]:
    (tmp_path / "model.safetensors").write_bytes(b"1234")
    options = PeerOptions(str(tmp_path), "cpu", 1, 2, 16)
    argv = [sys.executable, "-c", PEER, json.dumps(asdict(options))]
    with closing(LineProcess("fake", argv, "passive", 1)) as process:
        yield process


def test_a_peer_reports_its_model_and_then_a_measurement_per_load(peer: LineProcess) -> None:
    ready = json.loads(peer.receive(60))
    assert ready["model"]["settings"] == "cpu"
    assert ready["weight_bytes"] == 4
    answer = json.loads(peer.ask(json.dumps(asdict(Load(2, 4, 3, seed=0)))))
    assert answer["timing"] == {
        "seconds": 3.0,
        "ttft": [1.0, 1.0],
        "decode_tokens": 4,
        "decode_seconds": 2.0,
    }
    assert answer["peak_rss_bytes"] > 1_000_000
    assert answer["peak_device_bytes"] == 7


def test_a_peer_that_ends_is_an_error() -> None:
    with (
        closing(LineProcess("short", [sys.executable, "-c", ""], None, 1)) as process,
        pytest.raises(PeerError),
    ):
        process.receive(60)


def test_a_peer_that_does_not_answer_is_an_error() -> None:
    silent = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        closing(LineProcess("silent", silent, None, 1)) as process,
        pytest.raises(PeerError),
    ):
        process.receive(0.01)


@pytest.mark.parametrize("module", ["sizeup", "generate", "continuous_batching"])
def test_a_peer_generates(module: str) -> None:
    options = PeerOptions(str(TOY), "cpu", threads=1, max_streams=2, max_model_len=128)
    with closing(PeerProcess(module, Path(sys.executable), options, "passive")) as peer:
        assert peer.ready.weight_bytes > 0
        measured = peer.run(Load(2, 8, 100, seed=0))
    assert len(measured.timing.ttft) == 2
    assert 0 < max(measured.timing.ttft) < measured.timing.seconds
    assert measured.timing.decode_tokens > 0
