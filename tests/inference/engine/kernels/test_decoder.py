"""The compiled decoder against transformers' modules, by the instructions that it uses."""

import functools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from inference.engine.built_kernels import levels, require_kernels
from inference.engine.kernels.decoding import (
    DTYPES,
    Prompt,
    compiled,
    last_logits,
    make_model,
    run_chunks,
    scattered,
)
from inference.engine.random_configs import NAMES, VOCABULARY
from sizeup_inference.engine.forward import Batch
from sizeup_inference.engine.kernels.library import Level
from sizeup_inference.engine.kv_pool import Span

torch.set_num_threads(1)

LENGTHS = (1, 2, 5, 16, 17, 31, 32, 33, 64, 100, 700)
"""Around the sizes of a page and a tile; one prompt exceeds the keys that are scored at once."""

VARIANTS = [
    pytest.param("float32", Level.PORTABLE, id="float32"),  # the same at every level
    *(pytest.param("bfloat16", level, id=f"bfloat16-{level.name}") for level in levels()),
]
BROKEN, INFINITE = 7, 8
"""Tokens whose embeddings are made NaN and Inf."""


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    require_kernels()


def prompts(lengths: Sequence[int] = LENGTHS) -> list[list[int]]:
    rng = random.Random(3)
    return [[rng.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


def distance(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the norm of the difference over the norm of the expected."""
    return float((actual - expected).norm() / expected.norm())


@functools.cache
@torch.inference_mode()
def references(name: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return transformers' logits in float32 of the rounded weights, and in the dtype."""
    model = make_model(name, dtype)
    own = [model(torch.tensor([p])).logits[0, -1].float() for p in prompts()]
    wide = model.float()  # type: ignore[no-untyped-call]
    exact = [wide(torch.tensor([p])).logits[0, -1] for p in prompts()]
    return torch.stack(exact), torch.stack(own)


@pytest.mark.parametrize(("chunk", "threads"), [(1, 2), (7, 1), (64, 2), (1000, 1)])
@pytest.mark.parametrize(("dtype", "level"), VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_transformers(
    name: str, dtype: str, level: Level, chunk: int, threads: int
) -> None:
    exact, own = references(name, DTYPES[dtype])
    with compiled(make_model(name, DTYPES[dtype]), threads, level) as decoder:
        actual = last_logits(decoder, scattered(prompts()), chunk)
    error = distance(actual, exact)
    assert error < 1e-5 if dtype == "float32" else error < 1.2 * distance(own, exact)


@pytest.mark.parametrize(("dtype", "level"), VARIANTS)
@pytest.mark.parametrize("name", ["qwen2-mha-tied", "qwen3-gqa2-untied"])
def test_hidden_states_are_those_of_transformers_and_give_the_logits(
    name: str, dtype: str, level: Level
) -> None:
    model = make_model(name, DTYPES[dtype])
    (prompt,) = prompts([45])
    with torch.inference_mode():
        expected = model.get_decoder()(torch.tensor([prompt])).last_hidden_state[0].float()  # type: ignore[no-untyped-call]
    with compiled(model, level=level) as decoder:
        result, _ = run_chunks(decoder, scattered([prompt]), 45)
        assert result.hidden is not None
        assert result.hidden.dtype == torch.float32
        assert distance(result.hidden, expected) < (1e-5 if dtype == "float32" else 0.03)
        logits = decoder.logits(result.hidden)
        torch.testing.assert_close(logits[-1:], result.logits, atol=1e-4, rtol=1e-4)
        assert logits.shape == (45, VOCABULARY)


@pytest.mark.parametrize(("dtype", "level"), VARIANTS)
def test_the_result_does_not_depend_on_the_threads(dtype: str, level: Level) -> None:
    results = []
    for threads in (1, 2, 3, 5):
        with compiled(make_model("qwen2-sliding", DTYPES[dtype]), threads, level) as decoder:
            results.append(last_logits(decoder, scattered(prompts()), 64))
    for result in results[1:]:
        assert torch.equal(result, results[0])


def test_only_wanted_rows_have_logits_and_every_sample_a_best_token() -> None:
    first, second, third = scattered(prompts([20, 3, 40]))
    with compiled(make_model("llama-gqa2-untied", torch.float32)) as decoder:
        expected = last_logits(decoder, [first, second, third])
        spans: list[Span] = []
        ids: list[int] = []
        for prompt in (first, second, third):
            spans.append(Span(len(ids), len(prompt.ids), len(prompt.ids), prompt.pages))
            ids += prompt.ids
        batch = Batch(ids, tuple(spans), (19, 22, 62), (False, True, False), wants_hidden=False)
        result = decoder.run(batch)
    assert result.hidden is None
    assert list(result.best) == expected.argmax(-1).tolist()
    torch.testing.assert_close(result.logits, expected[1:2])


@pytest.mark.parametrize(("dtype", "level"), VARIANTS)
def test_every_row_of_a_long_prompt_can_be_a_sample(dtype: str, level: Level) -> None:
    """More samples than the rows of one task of a product."""
    model = make_model("qwen2-mha-tied", DTYPES[dtype])
    (prompt,) = scattered(prompts([300]))
    with torch.inference_mode():
        expected = model(torch.tensor([prompt.ids])).logits[0].float()
    span = Span(0, 300, 300, prompt.pages)
    batch = Batch(prompt.ids, (span,), range(300), [True] * 300, wants_hidden=False)
    with compiled(model, 3, level) as decoder:
        result = decoder.run(batch)
        assert list(result.best) == result.logits.argmax(-1).tolist()
        assert distance(result.logits, expected) < (1e-5 if dtype == "float32" else 0.03)


def test_of_equal_logits_the_first_token_is_the_best() -> None:
    model = make_model("qwen2-gqa7-untied", torch.float32)
    with torch.no_grad():
        model.lm_head.weight.copy_(model.lm_head.weight[:1].expand(VOCABULARY, -1))
    with compiled(model, threads=3) as decoder:
        result, _ = run_chunks(decoder, scattered(prompts([9, 30])), 30)
    assert list(result.best) == [0, 0]


@pytest.mark.parametrize("broken", [BROKEN, INFINITE])
@pytest.mark.parametrize(("dtype", "level"), VARIANTS)
def test_nan_in_one_sequence_does_not_affect_another(dtype: str, level: Level, broken: int) -> None:
    whole = [[t % 5 for t in p] for p in prompts([40, 70])]
    doomed = [1, 2, broken] + [3] * 40
    model = make_model("qwen3-gqa2-untied", DTYPES[dtype])
    embedding = model.get_input_embeddings().weight
    with torch.no_grad():
        embedding[BROKEN], embedding[INFINITE] = torch.nan, torch.inf  # type: ignore[operator]
    with compiled(model, level=level) as decoder:
        expected = last_logits(decoder, scattered(whole))
        first, second, bad = scattered([*whole, doomed], seed=2)
        result, _ = run_chunks(decoder, [first, bad, second], 100)
        assert result.best[1] == -1
        assert not result.logits[1].isfinite().any()
        torch.testing.assert_close(result.logits[::2], expected, atol=1e-4, rtol=1e-4)
        for chunk in (1, 7, 100):  # in pages whose keys and values are NaN
            logits = last_logits(decoder, [Prompt(whole[0], bad.pages)], chunk)
            assert distance(logits, expected[:1]) < (1e-5 if dtype == "float32" else 0.03)
            run_chunks(decoder, [Prompt(doomed, bad.pages)], 100)


@pytest.mark.parametrize("token", [-1, VOCABULARY])
def test_a_token_outside_the_vocabulary_is_rejected(token: int) -> None:
    (prompt,) = prompts([33])
    with compiled(make_model("qwen2-mha-tied", torch.float32)) as decoder:
        expected = last_logits(decoder, scattered([prompt]))
        with pytest.raises(ValueError, match="vocabulary"):
            run_chunks(decoder, scattered([[*prompt, token]]), 100)
        assert torch.equal(last_logits(decoder, scattered([prompt])), expected)


def test_a_level_beyond_the_processors_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    class Portable:
        """A library whose processor has no special instructions."""

        @staticmethod
        def sizeup_processor_level() -> int:
            return Level.PORTABLE

    monkeypatch.setattr("sizeup_inference.engine.kernels.decoder.load_library", Portable)
    model = make_model("qwen2-mha-tied", torch.bfloat16)
    with pytest.raises(ValueError, match="AMX"), compiled(model, level=Level.AMX):
        pass


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by /proc")
def test_closed_decoders_leave_neither_threads_nor_memory() -> None:
    def cycle() -> int:
        with compiled(make_model("qwen2-mha-tied", torch.float32), threads=4) as decoder:
            last_logits(decoder, scattered(prompts([100, 3])))
            return decoder.weight_bytes

    for _ in range(5):
        cycle()  # caches fill
    threads, memory = len(list(Path("/proc/self/task").iterdir())), resident_bytes()
    weight_bytes = sum(cycle() for _ in range(30))
    assert len(list(Path("/proc/self/task").iterdir())) <= threads
    assert resident_bytes() - memory < weight_bytes / 2
