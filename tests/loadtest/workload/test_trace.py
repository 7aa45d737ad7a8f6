"""Excerpts written by hand in the published formats."""

from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from sizeup_loadtest.config.workload import TraceConfig
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import trace
from sizeup_loadtest.workload.prompt import Prompt

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,130,8
2023-11-16 18:17:05.9799600,260,0
"""
MOONCAKE = """
{"timestamp": 27482, "input_length": 1300, "output_length": 52, "hash_ids": [46, 47, 48]}
{"timestamp": 30535, "input_length": 1100, "output_length": 26, "hash_ids": [46, 47, 2353]}
{"timestamp": 27500, "input_length": 300, "output_length": 1, "hash_ids": [9]}
"""
CSV = "seconds,prompt_tokens,completion_tokens\n0,13,4\n0.5,26,8\n"
Format = Literal["azure", "mooncake", "csv"]


def config(folder: Path, text: str, form: Format, **changes: object) -> TraceConfig:
    file = folder / ("t.jsonl" if form == "mooncake" else "t.csv")
    file.write_text(text)
    made = TraceConfig(file=str(file), format=form)
    return made.model_copy(update=changes)


def taken(trace_config: TraceConfig) -> list[Prompt]:
    return [*trace.prompts(trace.read(trace_config), trace_config, "trace")]


def due_ms(prompt: Prompt) -> int:
    return round((prompt.offset_ns or 0) / 1e6)


def words(prompt: Prompt) -> int:
    return len(prompt.messages[0].content.split())


def test_azure_has_times_and_lengths(tmp_path: Path) -> None:
    requests = trace.read(config(tmp_path, AZURE, "azure"))
    assert [(r.prompt_tokens, r.completion_tokens) for r in requests] == [
        (4808, 10),
        (130, 8),
        (260, 1),
    ]
    gaps = [round(b.seconds - a.seconds, 4) for a, b in pairwise(requests)]
    assert gaps == [0.052, 1.948]
    assert trace.rate(requests, speed=1) == pytest.approx(1)
    assert trace.rate(requests, speed=2) == pytest.approx(2)


def test_azure_of_2024_has_time_zones(tmp_path: Path) -> None:
    text = AZURE.replace("9799600,", "979960+00:00,").replace("0319600,", "031960+00:00,")
    requests = trace.read(config(tmp_path, text, "azure"))
    assert requests == trace.read(config(tmp_path, AZURE, "azure"))


def test_prompts_have_the_words_of_their_tokens_and_the_times_of_the_trace(tmp_path: Path) -> None:
    prompts = taken(config(tmp_path, AZURE, "azure", speed=2.0))
    assert [words(prompt) for prompt in prompts] == [3698, 100, 200]
    assert [prompt.max_tokens for prompt in prompts] == [10, 8, 1]
    assert [due_ms(prompt) for prompt in prompts] == [0, 26, 1000]
    assert [prompt.key for prompt in prompts] == ["trace-0", "trace-1", "trace-2"]
    assert words(taken(config(tmp_path, AZURE, "azure", tokens_per_word=2.0))[1]) == 65


def test_equal_hash_ids_are_equal_text(tmp_path: Path) -> None:
    first, other, second = taken(config(tmp_path, MOONCAKE, "mooncake"))
    assert [words(prompt) for prompt in (first, other, second)] == [1000, 231, 846]
    assert [due_ms(prompt) for prompt in (first, other, second)] == [0, 18, 3053]
    one, two = (prompt.messages[0].content.split() for prompt in (first, second))
    shared = 2 * 394  # blocks of 512 tokens, in words
    assert one[:shared] == two[:shared]
    assert one[shared : shared + 20] != two[shared : shared + 20]
    assert other.messages[0].content.split()[:20] != one[:20]


def test_a_plain_csv(tmp_path: Path) -> None:
    prompts = taken(config(tmp_path, CSV, "csv"))
    assert [(words(p), p.max_tokens, p.offset_ns) for p in prompts] == [
        (10, 4, 0),
        (20, 8, 500_000_000),
    ]


def test_the_first_requests_are_taken(tmp_path: Path) -> None:
    assert len(trace.read(config(tmp_path, AZURE, "azure", max_requests=2))) == 2


def test_requests_that_arrive_at_once_have_a_rate(tmp_path: Path) -> None:
    text = "seconds,prompt_tokens,completion_tokens\n3,1,1\n3,1,1\n"
    assert trace.rate(trace.read(config(tmp_path, text, "csv")), speed=1) == 2


@pytest.mark.parametrize(
    "line",
    [
        "soon,13,4",
        "nan,13,4",
        "1e300,13,4",
        "0,many,4",
        "0,-1,4",
        "0,13,1.5",
        "0,13,99999999",
        "0,,4",
        "0,13",
    ],
)
def test_a_fault_names_its_line(tmp_path: Path, line: str) -> None:
    text = f"seconds,prompt_tokens,completion_tokens\n0,1,1\n{line}\n"
    with pytest.raises(ConfigError, match=r"load\.trace: .*t\.csv line 3"):
        trace.read(config(tmp_path, text, "csv"))


@pytest.mark.parametrize("ids", ['"46"', "[1.5]", "{}"])
def test_hash_ids_are_numbers(tmp_path: Path, ids: str) -> None:
    text = f'{{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": {ids}}}'
    with pytest.raises(ConfigError, match="line 1: hash_ids"):
        trace.read(config(tmp_path, text, "mooncake"))


def test_another_format_is_refused(tmp_path: Path) -> None:
    for form in ("mooncake", "csv"):
        made = config(tmp_path, AZURE, "azure").model_copy(update={"format": form})
        with pytest.raises(ConfigError, match="line 2"):
            trace.read(made)


def test_the_prompts_of_a_trace_fit_into_memory(tmp_path: Path) -> None:
    rows = "0,1000000,1\n" * (trace.MAX_PROMPT_TOKENS // 1_000_000 + 1)
    with pytest.raises(ConfigError, match="max_requests"):
        trace.read(config(tmp_path, f"seconds,prompt_tokens,completion_tokens\n{rows}", "csv"))
