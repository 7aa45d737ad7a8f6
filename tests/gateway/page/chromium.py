"""The browser of these tests: any Chromium of the machine."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FILES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)


def find_chromium() -> str | None:
    """Return `SIZEUP_CHROMIUM`, or the path of an installed Chromium."""
    named = os.environ.get("SIZEUP_CHROMIUM")
    if named:
        return named
    installed = next(filter(None, map(shutil.which, _NAMES)), None)
    return installed or next((file for file in _FILES if Path(file).exists()), None)


def chromium_or_skip() -> str:
    """Return the path; without one the test is skipped here, and fails where CI is set."""
    path = find_chromium()
    if path is not None:
        return path
    reason = "no Chromium is installed: apt install chromium, or set SIZEUP_CHROMIUM"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser; not for the session, since Playwright's event loop runs until it ends."""
    path = chromium_or_skip()
    with sync_playwright() as playwright:
        # Without its sandbox it runs as root.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
