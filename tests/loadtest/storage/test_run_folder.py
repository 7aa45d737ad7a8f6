"""The folder of a run can be read back, also after a crash."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest import sample_results
from loadtest.recording import record
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.record import Record, ServerTimes
from sizeup_loadtest.errors import FolderError
from sizeup_loadtest.storage.run_folder import (
    AbilityFile,
    Recorder,
    RunFolder,
    read_results,
)
from sizeup_loadtest.workload import prompts, schedule

CONFIG = Config.model_validate({"models": ["a", "b"], "load": {"blocks": 1}})
RECORDS = [
    record(0),
    replace(record(1), text="水\n", server=ServerTimes(4, 1, 1, 2), chunk_ns=()),
]

WARM_UP = record(warm_up=True)


def filled(path: Path) -> RunFolder:
    folder = RunFolder.create(path)
    with folder.recorder() as recorder:
        for made in RECORDS:
            recorder.add(made)
    return folder


def test_config_and_plan_round_trip(tmp_path: Path) -> None:
    plan = schedule.compile_plan(CONFIG, prompts.source(CONFIG.prompts))
    folder = RunFolder.create(tmp_path / "deep" / "run")
    folder.begin(CONFIG, plan)
    assert folder.config() == CONFIG
    assert folder.plan() == plan


def test_records_round_trip(tmp_path: Path) -> None:
    assert list(filled(tmp_path).records()) == RECORDS


def test_flushed_records_are_on_disk(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    with folder.recorder() as recorder:
        recorder.add(RECORDS[0])
        recorder.flush()
        assert list(folder.records()) == RECORDS[:1]


def test_gzipped_records_are_read(tmp_path: Path) -> None:
    plain = filled(tmp_path).path / "records.jsonl"
    (tmp_path / "records.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert list(RunFolder(tmp_path).records()) == RECORDS


def test_an_incomplete_last_line_is_skipped(tmp_path: Path) -> None:
    file = filled(tmp_path).path / "records.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert list(RunFolder(tmp_path).records()) == RECORDS[:1]


def test_an_invalid_line_is_an_error(tmp_path: Path) -> None:
    file = filled(tmp_path).path / "records.jsonl"
    file.write_bytes(b"{}\n" + file.read_bytes())
    with pytest.raises(FolderError, match="record 1"):
        list(RunFolder(tmp_path).records())


def test_a_folder_with_files_is_rejected(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(FolderError, match="not empty"):
        RunFolder.create(tmp_path)


@pytest.mark.parametrize(
    ("first", "names", "reused"),
    [
        (WARM_UP, ["run.json"], True),
        (RECORDS[0], ["run.json"], False),
        (WARM_UP, [], False),
        (WARM_UP, ["run.json", "results.json"], False),
    ],
    ids=["warm-up only", "measured", "not ended", "with results"],
)
def test_the_folder_of_a_run_that_measured_nothing_is_reused(
    tmp_path: Path, first: Record, names: list[str], reused: bool
) -> None:
    folder = RunFolder.create(tmp_path / "run")
    with folder.recorder() as recorder:
        recorder.add(first)
    for name in names:
        folder.write(name, b"{}")
    if not reused:
        with pytest.raises(FolderError):
            RunFolder.create(tmp_path / "run")
    else:
        assert list(RunFolder.create(tmp_path / "run").path.iterdir()) == []


def test_a_full_disk_is_one_error_and_later_records_are_dropped() -> None:
    with Path("/dev/full").open("ab") as stream, Recorder(stream, "run") as recorder:
        recorder.add(RECORDS[0])
        for _ in range(2):
            with pytest.raises(FolderError, match="run: No space left"):
                recorder.flush()
        recorder.add(RECORDS[1])


def test_what_could_not_be_written_can_be_read(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    (tmp_path / "run").rmdir()
    with pytest.raises(FolderError):
        folder.write_json("ability", AbilityFile(results={}))
    assert folder.read_json("ability", AbilityFile) == AbilityFile(results={})


def test_a_file_instead_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(FolderError):
        RunFolder.create(tmp_path / "x")


def test_an_empty_folder_is_not_a_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for read in (folder.config, folder.plan, folder.info, lambda: list(folder.records())):
        with pytest.raises(FolderError):
            read()


def test_results_of_another_schema_are_rejected_in_one_line(tmp_path: Path) -> None:
    made = sample_results.results().model_dump(mode="json")
    made["models"][1]["model_info"]["colour"] = 1
    made["models"][2].pop("name")
    file = tmp_path / "results.json"
    file.write_text(json.dumps(made))
    for path in (file, tmp_path):
        with pytest.raises(FolderError) as caught:
            read_results(path)
        message = str(caught.value)
        assert message.startswith(f"{file}: ")
        assert "models.1.model_info.colour" in message
        assert "\n" not in message


def test_incomplete_results_are_rejected_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text('{"schema_version": 1')
    with pytest.raises(FolderError, match=r"results\.json: [^\n]*\(EOF [^\n]*\)$"):
        read_results(file)


def test_a_phase_that_did_not_run_has_no_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_json("ability", AbilityFile) is None
    folder.write_json("ability", AbilityFile(results={}))
    assert folder.read_json("ability", AbilityFile) == AbilityFile(results={})
