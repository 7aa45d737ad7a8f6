"""The layout of a step as one flat batch, and its results."""

import copy
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import GREEDY, pooled, request
from inference.small_model import small_config, small_model
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout, Span
from sizeup_inference.engine.model_runner import ModelRunner, StepOutput, make_batch
from sizeup_inference.engine.protocol import Pooling, SamplingParams
from sizeup_inference.engine.scheduling.scheduler import Chunk, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

torch.set_num_threads(1)

PAGE_SIZE = 4
SAMPLED = SamplingParams(temperature=1, seed=1)


@pytest.fixture(scope="module")
def plain() -> PreTrainedModel:
    return small_model()


@pytest.fixture
def runner(plain: PreTrainedModel) -> ModelRunner:
    config = small_config()
    layout = PoolLayout(32, PAGE_SIZE, kv_heads=2, head_dim=8)
    pool = KVPool(layout, torch.float32, [torch.device("cpu")] * config.num_hidden_layers)
    return ModelRunner(TransformersForward(pooled(copy.deepcopy(plain)), pool))


def sequence(
    prompt: list[int],
    pages: list[int],
    sampling: SamplingParams = SAMPLED,
    *,
    embed: Pooling | None = None,
) -> SequenceState:
    made = SequenceState(request("a", prompt, sampling=sampling, embed=embed), 0)
    made.block_table = pages
    return made


def run(runner: ModelRunner, *chunks: Chunk) -> StepOutput:
    return runner.launch(Step(chunks, ()), {}).result()


def last_hidden(plain: PreTrainedModel, prompt: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        hidden: torch.Tensor = plain.get_decoder()(torch.tensor([prompt])).last_hidden_state[0]  # type: ignore[no-untyped-call]
    return hidden


def last_logits(plain: PreTrainedModel, prompt: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = plain(torch.tensor([prompt])).logits[0, -1]
    return logits


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_chunks_are_laid_out_consecutively() -> None:
    decoding = sequence(list(range(6)), [7, 8])
    prompt = sequence(list(range(10)), [3, 4, 5])
    batch, rounds = make_batch([Chunk(decoding, 5, 1), Chunk(prompt, 2, 4)], PAGE_SIZE, {})
    assert list(batch.ids) == [5, 2, 3, 4, 5]
    assert (list(batch.samples), [r.sequences for r in rounds]) == ([0], [[decoding]])
    assert batch.spans == (
        Span(row_start=0, length=1, kv_length=6, block_table=(7, 8)),
        Span(row_start=1, length=4, kv_length=6, block_table=(3, 4)),
    )


def test_draft_tokens_follow_their_chunk_and_are_sampled_round_by_round() -> None:
    one, two = sequence(list(range(6)), [7, 8]), sequence(list(range(7)), [3, 4])
    chunks = [Chunk(one, 5, 1, drafts=(50, 51)), Chunk(two, 6, 1, drafts=(60,))]
    batch, rounds = make_batch(chunks, PAGE_SIZE, {})
    assert list(batch.ids) == [5, 50, 51, 6, 60]
    assert list(batch.samples) == [0, 3, 1, 4, 2]
    assert [r.sequences for r in rounds] == [[one, two], [one, two], [one]]
    assert [r.drafts for r in rounds] == [{one: 50, two: 60}, {one: 51}, {}]
    assert batch.spans == (
        Span(row_start=0, length=3, kv_length=8, block_table=(7, 8)),
        Span(row_start=3, length=2, kv_length=8, block_table=(3, 4)),
    )


def test_scattered_pages_give_slots_in_token_order() -> None:
    scattered = Span(row_start=0, length=6, kv_length=9, block_table=(9, 2, 5))
    pool = KVPool(PoolLayout(10, PAGE_SIZE, 1, 1), torch.float32, [])
    assert pool.slots([scattered]) == [39, 8, 9, 10, 11, 20]


def test_logits_are_those_of_the_plain_model(plain: PreTrainedModel, runner: ModelRunner) -> None:
    prompts = [[3], [1, 2, 3, 4, 5], [9] * 11]
    sequences = [sequence(p, [4 * i, 4 * i + 1, 4 * i + 2]) for i, p in enumerate(prompts)]
    output = run(runner, *(Chunk(s, 0, s.num_tokens) for s in sequences))
    assert output.logits.dtype == torch.float32
    same(output.logits, torch.stack([last_logits(plain, p) for p in prompts]))
    assert output.sampled == tuple(sequences)
    assert (output.best, output.hidden_sums) == ({}, {})


def test_greedy_sequences_have_their_best_token_and_no_logits(
    plain: PreTrainedModel, runner: ModelRunner
) -> None:
    greedy, sampled = sequence([1, 2, 3], [0], GREEDY), sequence([4, 5], [1])
    output = run(runner, Chunk(greedy, 0, 3), Chunk(sampled, 0, 2))
    assert output.best == {greedy: int(last_logits(plain, [1, 2, 3]).argmax())}
    assert output.sampled == (sampled,)
    same(output.logits, last_logits(plain, [4, 5])[None])


def test_only_the_last_chunk_of_a_prompt_has_logits(
    plain: PreTrainedModel, runner: ModelRunner
) -> None:
    prompt = [1, 2, 3, 4, 5, 6, 7]
    chunked = sequence(prompt, [5, 6])
    assert len(run(runner, Chunk(chunked, 0, 3)).logits) == 0
    assert len(run(runner, Chunk(chunked, 3, 3)).logits) == 0
    same(run(runner, Chunk(chunked, 6, 1)).logits[0], last_logits(plain, prompt))


def test_prompt_logprobs_cover_the_rows_not_yet_delivered(
    plain: PreTrainedModel, runner: ModelRunner
) -> None:
    prompt = [1, 2, 3, 4, 5, 6, 7]
    asking = SequenceState(replace(request("a", prompt, sampling=SAMPLED), prompt_logprobs=0), 0)
    asking.block_table = [5, 6]
    output = run(runner, Chunk(sequence([9, 8], [2]), 0, 2), Chunk(asking, 0, 3))
    with torch.inference_mode():
        rows = plain(torch.tensor([prompt])).logits[0].log_softmax(-1)
    expected = [float(rows[i, prompt[i + 1]]) for i in range(6)]

    def chosen(output: StepOutput) -> list[float]:
        ((owner, delivered),) = output.prompt_logprobs.items()
        assert owner is asking
        assert delivered is not None
        return [logprobs.chosen for logprobs in delivered]

    assert chosen(output) == pytest.approx(expected[:3], abs=1e-4)
    asking.num_prompt_logprobs = 2
    assert chosen(run(runner, Chunk(asking, 0, 5))) == pytest.approx(expected[2:5], abs=1e-4)
    output = run(runner, Chunk(asking, 5, 2))
    assert chosen(output) == pytest.approx(expected[5:], abs=1e-4)
    same(output.logits[0], last_logits(plain, prompt))


def test_an_embedding_gives_sums_of_hidden_states_and_no_logits(
    plain: PreTrainedModel, runner: ModelRunner
) -> None:
    prompt = [1, 2, 3, 4, 5, 6]
    embedding, neighbour = sequence(prompt, [0, 1], embed=Pooling.MEAN), sequence([9, 8], [2])
    output = run(runner, Chunk(embedding, 0, 4), Chunk(neighbour, 0, 2))
    hidden = last_hidden(plain, prompt)
    same(output.hidden_sums[embedding], hidden[:4].sum(0))
    assert len(output.logits) == 1
    output = run(runner, Chunk(embedding, 4, 2))
    same(output.hidden_sums[embedding], hidden[4:].sum(0))
    assert len(output.logits) == 0


def test_an_embedding_takes_the_rows_of_its_pooling(
    plain: PreTrainedModel, runner: ModelRunner
) -> None:
    prompt = [1, 2, 3, 4, 5, 6]
    last = sequence(prompt, [0, 1], embed=Pooling.LAST)
    first = sequence(prompt, [2, 3], embed=Pooling.CLS)
    hidden, nothing = last_hidden(plain, prompt), torch.zeros(small_config().hidden_size)
    output = run(runner, Chunk(last, 0, 4), Chunk(first, 0, 4))
    same(output.hidden_sums[last], nothing)
    same(output.hidden_sums[first], hidden[0])
    output = run(runner, Chunk(last, 4, 2), Chunk(first, 4, 2))
    same(output.hidden_sums[last], hidden[-1])
    same(output.hidden_sums[first], nothing)
