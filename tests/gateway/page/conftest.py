"""A browser, and pages in it that report whatever they should not do."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from gateway.page.chromium import browser
from gateway.page.fake_gateway import FakeGateway, running
from gateway.page.opened import Opened, OpenPage

__all__ = ["browser"]

expect.set_options(timeout=10_000)


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
