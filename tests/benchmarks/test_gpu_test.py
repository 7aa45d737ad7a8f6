"""The report of a GPU: which peers fit, and targets with what was reached."""

from dataclasses import replace

import pytest

from benchmarks.results import READY, load, run, sample
from gpu_test import peers_that_fit, targets

GIB = 1 << 30


@pytest.mark.parametrize(
    ("shape", "memory", "peers"),
    [
        ("qwen2.5-0.5b", 16 * GIB, ["sizeup", "generate", "cb"]),
        ("qwen2.5-7b", 16 * GIB, []),
        ("qwen2.5-7b", 24 * GIB, ["sizeup"]),
        ("qwen2.5-7b", 80 * GIB, ["sizeup", "generate", "cb"]),
        ("qwen2.5-14b", 80 * GIB, ["sizeup", "generate"]),
        ("qwen2.5-14b", 139 * GIB, ["sizeup", "generate", "cb"]),
    ],
)
def test_each_peer_has_its_own_copy_of_the_weights(
    shape: str, memory: int, peers: list[str]
) -> None:
    assert list(peers_that_fit(shape, memory)) == peers


def test_targets_have_what_was_reached_and_nothing_for_what_was_not_measured() -> None:
    ours, theirs = [sample(2.0, decode_tokens=12)], [sample(3.0, decode_tokens=6)]
    measured = load(ours, theirs)
    alone = replace(measured, streams=1, samples={"sizeup": ours, "generate": theirs})
    many = replace(measured, streams=128, samples={"sizeup": ours, "cb": theirs})
    peers = {"sizeup": READY, "generate": READY, "cb": READY}
    made = replace(run(alone, many), shape="qwen2.5-1.5b", peers=peers)
    found = {(t.shape, t.streams): t.reached for t in targets([made]) if t.figure[0] != "s"}
    assert found[("qwen2.5-1.5b", 1)] == 2.0
    assert found[("qwen2.5-1.5b", 128)] == 1.5
    assert found[("qwen2.5-7b", 1)] is None
    (share,) = (t for t in targets([made]) if t.shape == "qwen2.5-1.5b" and t.figure[0] == "s")
    # (1,000 + 10 tokens x 10) bytes at 1,000 bytes/s, in a step of 3 / 12 s
    assert share.reached == pytest.approx(1.1 / 0.25)
