"""Take a screenshot of the top of docs/example-report.html: docs/example-report.png.

    .venv/bin/python docs/make_screenshot.py [--chromium COMMAND]

Needs a Chromium: Debian's (`apt install chromium-headless-shell`), or Playwright's.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
PAGE, PICTURE = DOCS / "example-report.html", DOCS / "example-report.png"
SIZE = "1200,1450"
"""Width and height, to the end of the first charts."""
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Take the screenshot, in light mode and without scroll bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--chromium", default=next(filter(shutil.which, NAMES), None))
    command = parser.parse_args().chromium
    if command is None:
        sys.exit("no Chromium was found: give --chromium")
    # Without its sandbox it runs as root; the page is our own and loads nothing.
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE}"]
    page = [f"--screenshot={PICTURE}", PAGE.as_uri()]
    subprocess.run([command, *options, *page], check=True, timeout=120)


if __name__ == "__main__":
    main()
