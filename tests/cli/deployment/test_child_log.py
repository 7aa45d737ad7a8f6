import json
from pathlib import Path

from sizeup.deployment.child_log import ChildLog


def said(tmp_path: Path, *lines: object) -> str:
    log = ChildLog(tmp_path / "child.log")
    for line in lines:
        text = line if isinstance(line, str) else json.dumps(line)
        log.write(text.encode() + b"\n")
    log.close()
    return log.last_words()


def test_the_last_line_of_a_traceback_is_the_reason(tmp_path: Path) -> None:
    words = said(tmp_path, "Traceback (most recent call last):", "  ...", "ValueError: no", "")
    assert words == "ValueError: no"


def test_an_error_of_the_log_is_told_and_not_what_the_server_says_after_it(tmp_path: Path) -> None:
    failed = {"event": "model.load_failed", "level": "error", "error": "WeightsError: x: missing"}
    words = said(tmp_path, failed, {"event": "Finished server process", "level": "info"})
    assert words == "model.load_failed: WeightsError: x: missing"


def test_the_last_line_of_a_logged_exception_is_told(tmp_path: Path) -> None:
    record = {"event": "crashed", "level": "error", "exception": "Traceback\n  ...\nKeyError: 'k'"}
    assert said(tmp_path, record) == "crashed: KeyError: 'k'"


def test_without_an_error_the_last_event_is_told(tmp_path: Path) -> None:
    assert said(tmp_path, {"event": "model.ready", "level": "info"}) == "model.ready"


def test_a_silent_child_has_no_last_words(tmp_path: Path) -> None:
    assert said(tmp_path) == ""


def test_bytes_that_are_not_text_do_no_harm(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "child.log")
    log.write(b"\xff\xfe\x00\n")
    assert log.last_words()
    log.close()


def test_a_new_start_does_not_repeat_the_words_of_the_last(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "child.log")
    log.write(b"old\n")
    log.forget()
    assert log.last_words() == ""
    log.close()


def test_the_log_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "child.log", file_bytes=1000)
    for number in range(1000):
        log.write(b"%099d\n" % number)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["child.log", "child.log.1"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert (tmp_path / "child.log").read_bytes().endswith(b"999\n")


def test_a_full_disk_costs_the_file_and_not_the_last_words() -> None:
    log = ChildLog(Path("/dev/full"))
    log.write(b"no weights here\n")
    assert log.last_words() == "no weights here"
    log.close()
