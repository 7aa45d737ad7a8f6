"""A trial compilation of a grammar, in a process that a time limit ends.

llguidance bounds the work of a mask, but not that of every schema: the intersection of many
patterns takes minutes, in a thread that nothing can interrupt.
"""

import resource
import subprocess
import sys

from llguidance import LLMatcher

_SECONDS = 5.0
"""The largest schemas take about 1 s; a loaded machine needs a multiple."""
_MEMORY_BYTES = 2 * 2**30
"""Address space of the process; the largest schemas take some 100 MB."""


def check(grammar: str, seconds: float = _SECONDS) -> str:
    """Return what is wrong with a grammar in llguidance's JSON form; empty if nothing is."""
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            command, input=grammar, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"compilation takes longer than {seconds:.0f} s"
    return "compilation takes too much memory" if done.returncode else done.stdout


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    sys.stdout.write(LLMatcher.validate_grammar(sys.stdin.read()))


if __name__ == "__main__":
    _main()
