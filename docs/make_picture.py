"""Draw docs/at-work.svg from a real session: `sizeup up`, then one question to every size.

.venv/bin/python docs/make_picture.py
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sizeup.ports import free_loopback_ports

SIZEUP = str(Path(sys.executable).with_name("sizeup"))
SIZES = ("toy:0.5m", "toy:2m", "toy:5m")
QUESTIONS = ("What is 47 + 385?", "Reverse: red cat sun")
WIDTH = 100


def until_ready(process: "subprocess.Popen[str]") -> Iterator[str]:
    """Yield what `up` prints until everything is ready."""
    if process.stdout is None:
        return
    for line in process.stdout:
        yield line.rstrip("\n")
        if line.startswith("Ctrl-C"):
            return


def ask(size: str, question: str, url: str) -> str:
    """Return what `sizeup ask` prints."""
    command = [SIZEUP, "ask", size, question, "--temperature", "0", "--url", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")


def session(console: Console, port: int) -> None:
    """Run the commands, and print them with the default port."""
    here, usual = f":{port}", ":11434"
    up = [SIZEUP, "up", "--port", str(port)]
    process = subprocess.Popen(up, stdout=subprocess.PIPE, text=True)
    try:
        show(console, "make run", style="bold green")
        for line in until_ready(process):
            if not line.startswith(("logs of", "sizeup", "curl", ".venv")):
                console.print(Text(line.replace(here, usual)))
        for question in QUESTIONS:
            for size in SIZES:
                show(console, f'sizeup ask {size} "{question}"', style="bold green")
                answer = ask(size, question, f"http://127.0.0.1:{port}")
                console.print(Text(re.sub(r"\s+", " ", answer)))
    finally:
        process.terminate()
        process.wait(60)


def show(console: Console, command: str, style: str) -> None:
    """Print a command after a prompt."""
    console.print(Text("$ ", style="dim") + Text(command, style=style))


def main() -> None:
    """Record a session and write the picture."""
    console = Console(record=True, width=WIDTH, color_system="truecolor", force_terminal=True)
    session(console, free_loopback_ports(1)[0])
    target = Path(__file__).with_name("at-work.svg")
    console.save_svg(str(target), title="sizeup")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
