import json
from pathlib import Path

from sizeup.deployment.child_log import ChildLog


def reason(tmp_path: Path, *lines: object) -> str:
    log = ChildLog(tmp_path / "child.log")
    for line in lines:
        text = line if isinstance(line, str) else json.dumps(line)
        log.write(text.encode() + b"\n")
    log.close()
    return log.exit_reason()


def test_the_last_line_of_a_traceback_is_the_reason(tmp_path: Path) -> None:
    found = reason(tmp_path, "Traceback (most recent call last):", "  ...", "ValueError: no", "")
    assert found == "ValueError: no"


def test_an_error_record_wins_over_later_records(tmp_path: Path) -> None:
    failed = {"event": "model.load_failed", "level": "error", "error": "WeightsError: x: missing"}
    found = reason(tmp_path, failed, {"event": "Finished server process", "level": "info"})
    assert found == "model.load_failed: WeightsError: x: missing"


def test_the_last_line_of_a_logged_exception_is_the_reason(tmp_path: Path) -> None:
    record = {"event": "crashed", "level": "error", "exception": "Traceback\n  ...\nKeyError: 'k'"}
    assert reason(tmp_path, record) == "crashed: KeyError: 'k'"


def test_without_an_error_the_last_event_is_the_reason(tmp_path: Path) -> None:
    assert reason(tmp_path, {"event": "model.ready", "level": "info"}) == "model.ready"


def test_a_child_without_output_has_no_reason(tmp_path: Path) -> None:
    assert reason(tmp_path) == ""


def test_output_may_be_binary(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "child.log")
    log.write(b"\xff\xfe\x00\n")
    assert log.exit_reason()
    log.close()


def test_a_restart_clears_the_reason(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "child.log")
    log.write(b"old\n")
    log.start_tail()
    assert log.exit_reason() == ""
    log.close()


def test_the_log_is_rotated(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "child.log", file_bytes=1000)
    for number in range(1000):
        log.write(b"%099d\n" % number)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["child.log", "child.log.1"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert (tmp_path / "child.log").read_bytes().endswith(b"999\n")


def test_the_reason_survives_a_full_disk() -> None:
    log = ChildLog(Path("/dev/full"))
    log.write(b"no weights here\n")
    assert log.exit_reason() == "no weights here"
    log.close()
