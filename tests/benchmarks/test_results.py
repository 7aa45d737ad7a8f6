"""The file of results."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.results import load, run, sample
from engine_peers.messages import Measurement, Timing
from engine_peers.results import add_run, read
from engine_peers.results import sample as combine

VERSIONS = {"torch": "1"}


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "results" / "engine.json"
    written = run(load([sample(1.25)], [sample(2.0)]))
    add_run(file, "machine", VERSIONS, written)
    results = read(file)
    assert (results.machine, results.versions) == ("machine", VERSIONS)
    (found,) = results.runs
    assert found.peers == written.peers
    assert found.loads[0].samples == written.loads[0].samples


def test_a_run_replaces_an_earlier_one_of_the_same_command(tmp_path: Path) -> None:
    file = tmp_path / "engine.json"
    first = run()
    other = replace(first, command="another")
    for one in (first, other, first):
        add_run(file, "machine", VERSIONS, one)
    assert [one.command for one in read(file).runs] == [other.command, first.command]


@pytest.mark.parametrize(
    ("machine", "versions"), [("other", VERSIONS), ("machine", {"torch": "2"})]
)
def test_runs_of_another_machine_or_version_are_dropped(
    tmp_path: Path, machine: str, versions: dict[str, str]
) -> None:
    file = tmp_path / "engine.json"
    add_run(file, "machine", VERSIONS, run())
    add_run(file, machine, versions, replace(run(), command="another"))
    assert [one.command for one in read(file).runs] == ["another"]


def test_a_sample_has_the_prefill_of_the_run_of_one_token() -> None:
    prefill = Measurement(Timing(3.0, [1.0, 3.0], 0, 0.0), 1, 0)
    full = Measurement(Timing(9.0, [2.0, 4.0], 6, 5.0), 2, 3)
    combined = combine(prefill, full)
    assert combined.prefill_seconds == 3.0
    assert (combined.seconds, combined.ttft_p50) == (9.0, 3.0)
    assert combined.ttft_p95 == pytest.approx(3.9)
    assert (combined.peak_rss_bytes, combined.peak_device_bytes) == (2, 3)
