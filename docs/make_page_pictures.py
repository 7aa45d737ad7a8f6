"""Take pictures of the compare page: docs/compare-light.png and docs/compare-dark.png.

    make run
    .venv/bin/python docs/make_page_pictures.py [--url http://127.0.0.1:11434/] [--chromium COMMAND]

Asks the toy models one question and waits for the last answer. Needs a Chromium: Debian's
(`apt install chromium`).
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

DOCS = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
MODELS = "toy:0.5m,toy:2m,toy:5m"
QUESTION = "What is 47 + 385?"
WIDTH, HEIGHT = 1400, 960
ANSWER_MS = 120_000
"""The first answer may load a model."""


def main() -> None:
    """Take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--url", default="http://127.0.0.1:11434/")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--question", default=QUESTION)
    named = os.environ.get("SIZEUP_CHROMIUM")  # noqa: TID251 - a script, without settings
    installed = named or next(filter(shutil.which, NAMES), None)
    parser.add_argument("--chromium", default=installed)
    parser.add_argument("--folder", type=Path, default=DOCS)
    given = parser.parse_args()
    if given.chromium is None:
        sys.exit("no Chromium was found: give --chromium")
    with sync_playwright() as playwright:
        # Without its sandbox it runs as root; the page is our own.
        path = shutil.which(given.chromium) or given.chromium
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = _asked(browser, scheme, given.url, given.models, given.question)
            page.screenshot(path=given.folder / f"compare-{scheme}.png", animations="disabled")
        browser.close()


def _asked(browser: Browser, scheme: str, url: str, models: str, question: str) -> Page:
    """Open the page, ask, and wait for the figures; the first question warms the sizes up."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-US",
    )
    page.goto(f"{url}?models={models}&temperature=0&one_at_a_time=1")
    for text in ("Hello", question):
        page.get_by_label("Question", exact=True).fill(text)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=text)).to_be_visible()
        expect(page.get_by_role("table", name="Figures")).to_be_visible(timeout=ANSWER_MS)
        if text != question:
            page.get_by_role("button", name="New").click()
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.evaluate("window.scrollTo(0, 0)")
    return page


if __name__ == "__main__":
    main()
