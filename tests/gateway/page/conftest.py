"""A browser, and pages in it that report whatever they should not do."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from gateway.page.chromium import chromium_or_skip
from gateway.page.fake_gateway import FakeGateway, running
from gateway.page.opened import Opened, OpenPage

expect.set_options(timeout=10_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser; not for the session, since Playwright's event loop runs until it ends."""
    path = chromium_or_skip()
    with sync_playwright() as playwright:
        # Without its sandbox it runs as root.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with running(FakeGateway()) as gateway:
        yield gateway


@pytest.fixture
def open_page(browser: Browser, fake: FakeGateway) -> Iterator[OpenPage]:
    """Open pages; the test fails if one of them logs an error, or asks another host."""
    opened = Opened(browser, fake)
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.problems == []
