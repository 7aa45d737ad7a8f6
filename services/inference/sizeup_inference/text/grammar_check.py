"""A trial compilation of a grammar, in a process that a time limit ends.

llguidance bounds the work of a mask, but not that of every schema: the intersection of many
patterns takes minutes, in a thread that nothing can interrupt.
"""

import resource
import subprocess
import sys
import time

from llguidance import LLMatcher, LLTokenizer

_SECONDS = 5.0
"""The largest schemas take about 1 s; a loaded machine needs a multiple."""
_MEMORY_BYTES = 2 * 2**30
"""Address space of the process; the largest schemas take some 100 MB."""


_MAX_FIRST_MASK_SECONDS = 0.1
"""Of the thread's own time; usual grammars take 2 ms. llguidance's limits do not count the length
of texts and of repetitions, for which every later mask takes a quarter of this time."""


def first_mask_error(matcher: LLMatcher) -> str:
    """Return why a grammar cannot be used, by its first mask; empty if it can."""
    begin = time.thread_time()
    matcher.compute_bitmask()
    if matcher.is_error():
        return str(matcher.get_error())
    too_complex = time.thread_time() - begin > _MAX_FIRST_MASK_SECONDS
    return "the schema or pattern is too complex" if too_complex else ""


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
    grammar = sys.stdin.read()
    error = LLMatcher.validate_grammar(grammar)
    if not error:
        error = first_mask_error(LLMatcher(LLTokenizer("byte"), grammar, log_level=0))
    sys.stdout.write(error)


if __name__ == "__main__":
    _main()
