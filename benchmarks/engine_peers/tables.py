"""Tables of results: text for the terminal, Markdown for the documentation. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from engine_peers.catalog import PEERS
from engine_peers.figures import (
    Rate,
    bandwidth_share,
    decode_rate,
    median_of,
    median_rate,
    output_rate,
    prefill_rate,
    ratio,
    step_seconds,
)
from engine_peers.results import LoadResult, RunResult

HEAD = (
    "peer",
    "tokens/s",
    "ratio",
    "decode tokens/s",
    "ratio",
    "ms a step",
    "of bandwidth",
    "prefill tokens/s",
    "ratio",
    "TTFT p50 s",
    "p95 s",
    "peak memory",
)
_LOADING_HEAD = ("peer", "load s", "read s", "load / read", "peak memory", "settings")
_NONE = "-"


def load_rows(run: RunResult, load: LoadResult) -> Iterator[tuple[str, ...]]:
    """Yield a row per peer; a ratio is that of the first peer to this one."""
    for name in load.samples:
        samples = load.samples[name]
        step = step_seconds(load, name)
        share = bandwidth_share(load, name, run.peers[name].model)
        yield (
            title(name, run.dtype),
            *_rate_cells(load, output_rate, name),
            *_rate_cells(load, decode_rate, name),
            _NONE if step is None else f"{step * 1e3:.1f}",
            _NONE if share is None else f"{share:.0%}",
            *_rate_cells(load, prefill_rate, name),
            f"{median_of(samples, lambda one: one.ttft_p50):.3f}",
            f"{median_of(samples, lambda one: one.ttft_p95):.3f}",
            _gigabytes(max(one.peak_rss_bytes + one.peak_device_bytes for one in samples)),
        )


def _rate_cells(load: LoadResult, rate: Rate, peer: str) -> tuple[str, str]:
    first = next(iter(load.samples))
    value = median_rate(load, rate, peer)
    compared = None if peer == first else ratio(load, rate, first, peer)
    return _NONE if value is None else f"{value:.1f}", str(compared or "")


def loading_rows(run: RunResult) -> Iterator[tuple[str, ...]]:
    """Yield a row per peer: what loading takes, in time and memory."""
    for name, ready in run.peers.items():
        yield (
            title(name, run.dtype),
            f"{ready.load_seconds:.2f}",
            f"{ready.read_seconds:.2f}",
            f"{ready.load_seconds / ready.read_seconds:.1f}",
            _gigabytes(ready.peak_rss_bytes),
            ready.model.settings,
        )


def title(peer: str, dtype: str) -> str:
    """Return the name of a peer, with the dtype of llama.cpp's weights."""
    kind = PEERS[peer]
    plain = kind.uses_gguf and kind.quantization is None
    return f"{kind.title} {dtype}" if plain else kind.title


def describe(load: LoadResult) -> str:
    """Return the parameters of a load in words."""
    streams = "1 stream" if load.streams == 1 else f"{load.streams} streams"
    return f"{streams}, {load.prompt} tokens of prompt and {load.tokens} of completion each"


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return aligned columns, the first one to the left."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def loading_table(run: RunResult) -> str:
    """Return the table of loading as text."""
    return text_table(_LOADING_HEAD, loading_rows(run))


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with figures to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def run_page(run: RunResult) -> str:
    """Return a run as Markdown: the command, loading, and a table per load."""
    parts = [
        f"### {run.shape}, {run.dtype}, {run.device}, `--threads {run.threads}`",
        f"```sh\n{run.command}\n```",
        markdown_table(_LOADING_HEAD, loading_rows(run)),
    ]
    for load in run.loads:
        parts += [f"{describe(load)}:", markdown_table(HEAD, load_rows(run, load))]
    return "\n\n".join(parts)


def summary_table(run: RunResult) -> str:
    """Return one row per load: output tokens per second of the first peer, and its ratios."""
    first, *others = run.peers
    head = ("streams", "prompt", f"{title(first, run.dtype)}, tokens/s")
    rows = (
        (
            str(load.streams),
            str(load.prompt),
            f"{median_rate(load, output_rate, first):.1f}",
            *(str(ratio(load, output_rate, first, other) or _NONE) for other in others),
        )
        for load in run.loads
    )
    return markdown_table((*head, *(title(other, run.dtype) for other in others)), rows)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
