from random import Random

import pytest

from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.storage import job_log

DATA = Random(1).randbytes(20_000)


def test_files_are_extracted_from_among_other_lines() -> None:
    log = ["starting", *job_log.encode("a.json", DATA), "", *job_log.encode("b", b""), "done"]
    assert job_log.decode(log) == {"a.json": DATA, "b": b""}
    assert max(map(len, log)) <= 4096


def test_prefixes_of_kubectl_are_ignored() -> None:
    prefix = "[pod/x-0/loadtest] 2026-01-01T00:00:00.000000001Z "
    assert job_log.decode(f"{prefix}{line}\n" for line in job_log.encode("a", DATA)) == {"a": DATA}


def test_the_last_file_of_a_name_counts() -> None:
    log = [*job_log.encode("a", b"old"), *job_log.encode("a", b"new")]
    assert job_log.decode(log) == {"a": b"new"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: [lines[0], "a line of another process", *lines[1:]],
        lambda lines: [lines[0].replace(" a ", " ../a "), *lines[1:]],
    ],
)
def test_corruption_is_an_error(damage) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(UsageError):
        job_log.decode(damage(list(job_log.encode("a", DATA))))


def test_a_path_is_rejected() -> None:
    with pytest.raises(UsageError, match="file name"):
        list(job_log.encode("../a", b""))
