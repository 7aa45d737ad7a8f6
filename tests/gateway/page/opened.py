"""Pages of the fake gateway in a browser, and what they should not do."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
)

from gateway.page.fake_gateway import FakeGateway

OpenPage = Callable[..., Page]

_ASK = re.compile(r"^Ask \d")
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Opened:
    """Opens pages of the gateway, and watches them."""

    browser: Browser
    fake: FakeGateway
    problems: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(self, query: str = "", **options: Any) -> Page:
        defaults = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}}
        context = self.browser.new_context(**(defaults | options))
        context.add_init_script(_REPORT_VIOLATIONS)
        self.contexts.append(context)
        page = context.new_page()
        self._watch(page)
        page.goto(self.fake.url + query)
        return page

    def _watch(self, page: Page) -> None:
        def on_console(message: ConsoleMessage) -> None:
            # The browser itself writes this about a 401.
            if message.type == "error" and not message.text.startswith("Failed to load resource"):
                self.problems.append(f"console: {message.text}")

        def on_request(request: Request) -> None:
            if not request.url.startswith((self.fake.url, "blob:", "data:")):
                self.problems.append(f"request: {request.url}")

        def on_dialog(dialog: Dialog) -> None:
            self.problems.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("console", on_console)
        page.on("request", on_request)
        page.on("dialog", on_dialog)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))


def ask(page: Page, question: str = "What is 47 + 385?") -> None:
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_role("button", name=_ASK).click()


def verdict(page: Page) -> Locator:
    """Return the headline of the last question."""
    return page.locator(".verdict").last
