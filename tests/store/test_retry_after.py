"""Retry-After of the hub and of the store that it redirects to."""

import os
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from hub_server import MODEL_ID, WEIGHTS, HubServer, Mode
from sizeup_store.cache import RepositoryCache
from sizeup_store.download import Download
from sizeup_store.hub import HubOptions, connect
from sizeup_store.hub_http import TransientError, retry_after_seconds
from sizeup_store.pull_report import PullReport
from sizeup_store.repository import describe

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
BACKOFF = 0.25
MOST = 300.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("Tue, 01 Jan 2030 12:00:09 GMT", 9),
        ("Tuesday, 01-Jan-30 12:00:09 GMT", 9),
        ("Tue Jan  1 12:00:09 2030", 9),
        ("Tue, 01 Jan 2030 11:00:00 GMT", 0),
        ("9" * 5000, float("inf")),
        ("-7", 0),
        ("1.5", 0),
        ("\u0667", 0),
        ("soon", 0),
        ("", 0),
        ("Tue, 01 Jan 2030 99:00:00 GMT", 0),
        ("Tue, 01 Jan 2030 12:00:09 +99999999999999", 0),
    ],
)
def test_seconds_of_the_header(text: str, seconds: float) -> None:
    assert retry_after_seconds(text, NOON.timestamp()) == seconds


def waits_of(hub: HubServer) -> list[float]:
    """Return the pauses before the second and third attempt to describe the model."""
    waits: list[float] = []
    options = HubOptions(hub.url, None, silence_seconds=1000, attempts=5, backoff_seconds=BACKOFF)
    with connect(options, lambda _reason: None, waits.append) as client:
        describe(client, MODEL_ID, "main")
    return waits


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, BACKOFF),
        ({"Retry-After": "86400"}, MOST),
        ({"Retry-After": "9" * 400}, MOST),
        ({"Retry-After": "never"}, BACKOFF),
        ({}, BACKOFF),
    ],
)
def test_the_hub_s_wait_is_kept_up_to_a_limit(
    hub: HubServer, status: int, headers: dict[str, str], wait: float
) -> None:
    hub.mode, hub.busy_status, hub.busy_headers = Mode.UNAVAILABLE_TWICE, status, headers
    assert waits_of(hub) == [wait, max(wait, 2 * BACKOFF)]


def test_a_date_is_a_wait(hub: HubServer) -> None:
    date = datetime.now(UTC) + timedelta(hours=1)
    hub.mode = Mode.UNAVAILABLE_TWICE
    hub.busy_headers = {"Retry-After": format_datetime(date, usegmt=True)}
    assert waits_of(hub) == [MOST, MOST]


@pytest.mark.parametrize(
    ("status", "limit", "wait"),
    [
        (429, '"api";r=0;t=55', 55),
        (429, '"api";r=3;t=55', BACKOFF),
        (503, '"api";r=0;t=55', BACKOFF),
    ],
)
def test_the_wait_of_a_used_up_rate_limit_is_kept(
    hub: HubServer, status: int, limit: str, wait: float
) -> None:
    hub.mode, hub.busy_status = Mode.UNAVAILABLE_TWICE, status
    hub.busy_headers = {"RateLimit": limit}
    assert waits_of(hub)[0] == wait


def test_the_last_failure_is_not_waited_for(hub: HubServer) -> None:
    hub.mode, hub.busy_headers = Mode.UNAVAILABLE, {"Retry-After": "7"}
    with pytest.raises(TransientError):
        waits_of(hub)
    assert sum(seen.server == "hub" for seen in hub.seen) == 5


def test_a_waiting_download_keeps_its_partial_file(hub: HubServer, tmp_path: Path) -> None:
    """Other hosts take over a partial file that was not written to for four silences."""
    options = HubOptions(hub.url, None, silence_seconds=2, attempts=5, backoff_seconds=BACKOFF)
    cache = RepositoryCache(tmp_path, MODEL_ID, 4 * options.silence_seconds)
    cache.prepare()
    ages: list[float] = []

    def sleep(_seconds: float) -> None:
        [partial] = tmp_path.rglob("*.incomplete")
        ages.append(time.time() - partial.stat().st_mtime)
        old = time.time() - 3600
        os.utime(partial, (old, old))

    with connect(options, lambda _reason: None, sleep) as client:
        repository = describe(client, MODEL_ID, "main")
        hub.mode, hub.busy_status = Mode.UNAVAILABLE_TWICE, 429
        hub.busy_headers = {"Retry-After": "7"}
        file = repository.files[WEIGHTS]
        Download(client, cache, repository, file, PullReport()).run()
    assert len(ages) == 4 * 4  # 7 s in pauses of 2 s; twice at the hub, twice at the store
    assert max(ages) < 3600
