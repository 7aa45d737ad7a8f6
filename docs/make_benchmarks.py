"""Write the results of benchmarks/engine.py into README.md and benchmarks/README.md.

.venv/bin/python docs/make_benchmarks.py
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from engine_peers.results import Results, read
from engine_peers.tables import run_page, summary_table

_ROOT = Path(__file__).resolve().parents[1]
README = _ROOT / "README.md"
BENCHMARKS = _ROOT / "benchmarks" / "README.md"
_BEGIN, _END = "<!-- engine: make docs -->", "<!-- end of engine -->"


def read_results() -> Sequence[Results]:
    """Return the committed results, one per machine."""
    return [read(file) for file in sorted((_ROOT / "benchmarks/results").glob("engine-*.json"))]


def readme(text: str, machines: Sequence[Results]) -> str:
    """Return README.md with a table per run: tokens per second of all streams, and ratios."""
    blocks = [_heading(results) + _summaries(results) for results in machines]
    return _replace(text, "\n\n".join(blocks))


def benchmarks_page(text: str, machines: Sequence[Results]) -> str:
    """Return benchmarks/README.md with every figure of every run."""
    blocks = [
        "\n\n".join([_heading(results), *(run_page(run) for run in results.runs)])
        for results in machines
    ]
    return _replace(text, "\n\n".join(blocks))


def _heading(results: Results) -> str:
    return f"On {results.machine}, with {_versions(results.versions)}:"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _summaries(results: Results) -> str:
    return "".join(
        f"\n\n{run.shape}, {run.dtype}, `--threads {run.threads}` (`{run.command}`):\n\n"
        f"{summary_table(run)}"
        for run in results.runs
    )


def _replace(text: str, block: str) -> str:
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{block}\n\n{_END}{after}"


def main() -> None:
    """Write both pages."""
    machines = read_results()
    for page, render in ((README, readme), (BENCHMARKS, benchmarks_page)):
        page.write_text(render(page.read_text(encoding="utf-8"), machines), encoding="utf-8")


if __name__ == "__main__":
    main()
