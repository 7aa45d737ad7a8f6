"""Prompt log-probabilities: from logits, and through the engine against transformers."""

import copy
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from inference.engine.engines import (
    GREEDY,
    EngineOptions,
    Harness,
    pooled,
    request,
    running_engine,
)
from inference.small_model import VOCABULARY, small_model
from sizeup_inference.engine.protocol import (
    Admitted,
    EngineRequest,
    Failed,
    Logprobs,
    Pooling,
    PromptLogprobs,
    SamplingParams,
    Token,
)
from sizeup_inference.engine.sampling import prompt_logprobs as module
from sizeup_inference.engine.sampling.prompt_logprobs import prompt_logprobs

torch.set_num_threads(1)

TOY = Path(__file__).parents[4] / "models" / "toy" / "toy-0.5m"
BATCH = EngineOptions(pages=1024, max_num_batched_tokens=96)


class Head(torch.nn.Module):
    """Returns hidden states as logits, and records the rows of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(hidden))
        return hidden


def test_rows_are_computed_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLICE_ROWS", 4)
    logits = torch.randn(10, 7, generator=torch.Generator().manual_seed(0))
    targets = [i % 7 for i in range(10)]
    head = Head()
    actual = prompt_logprobs(head, logits, targets, 3)
    assert head.rows == [4, 4, 2]
    assert actual is not None
    expected = logits.log_softmax(-1)
    for row, target, logprobs in zip(expected, targets, actual, strict=True):
        values, ids = row.topk(3)
        assert logprobs.chosen == float(row[target])
        assert logprobs.top == tuple(zip(ids.tolist(), values.tolist(), strict=True))


def test_minus_infinity_becomes_the_minimum_logprob() -> None:
    (actual,) = prompt_logprobs(Head(), torch.tensor([[0.0, -torch.inf]]), [1], 2) or ()
    assert actual == Logprobs(-9999.0, ((0, 0.0), (1, -9999.0)))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_and_inf_logits_are_reported(value: float) -> None:
    logits = torch.zeros(3, 4)
    logits[1, 2] = value
    assert prompt_logprobs(Head(), logits, [0, 0, 0], 1) is None


def test_top_logprobs_are_limited_by_the_vocabulary() -> None:
    (actual,) = prompt_logprobs(Head(), torch.zeros(1, 3), [0], 5) or ()
    assert len(actual.top) == 3


@pytest.fixture(scope="module", params=["small", "toy"])
def plain(request: pytest.FixtureRequest) -> PreTrainedModel:
    if request.param == "small":
        return small_model()
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(TOY, dtype=torch.float32)
    loaded.eval()  # type: ignore[no-untyped-call]
    return loaded


def with_logprobs(
    name: str, prompt: Sequence[int], count: int = 2, tokens: int = 3
) -> EngineRequest:
    return replace(request(name, prompt, tokens), prompt_logprobs=count)


def prompts(count: int) -> list[list[int]]:
    rng = random.Random(3)
    lengths = [1, 2, 5, 17, 75, *(rng.randint(1, 90) for _ in range(count))][:count]
    return [[rng.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


def delivered(harness: Harness, name: str) -> list[Logprobs]:
    """Return the prompt's log-probabilities; assert their order and position."""
    events = harness.recorder.events[name]
    pieces = [e for e in events if isinstance(e, PromptLogprobs)]
    made: list[Logprobs] = []
    for piece in pieces:
        assert piece.start == len(made) + 1
        made += piece.logprobs
    kinds = [type(e) for e in events]
    assert kinds[: len(pieces) + 1] == [Admitted, *[PromptLogprobs] * len(pieces)]
    return made


def check(
    plain: PreTrainedModel, prompt: list[int], made: Sequence[Logprobs], count: int = 2
) -> None:
    with torch.inference_mode():
        rows = plain(torch.tensor([prompt])).logits[0].float().log_softmax(-1)[:-1]
    expected = rows.gather(-1, torch.tensor(prompt[1:])[:, None])[:, 0]
    same(torch.tensor([m.chosen for m in made]), expected)
    tops = torch.tensor([[value for _, value in m.top] for m in made]).reshape(-1, count)
    same(tops, rows.topk(count).values)
    for row, one in zip(rows, made, strict=True):
        for token_id, value in one.top:
            assert value == pytest.approx(float(row[token_id]), abs=1e-4, rel=1e-4)


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def run(plain: PreTrainedModel, options: EngineOptions, preempts: bool = False) -> None:
    prompts_by_name = {f"r{i}": prompt for i, prompt in enumerate(prompts(24))}
    requests = [with_logprobs(name, prompt, tokens=12) for name, prompt in prompts_by_name.items()]
    with running_engine(pooled(copy.deepcopy(plain)), options) as harness:  # it takes the config
        plain_output = harness.run([request("plain", prompts_by_name["r4"], 12)])["plain"]
        answers = harness.run(requests)
        for name, prompt in prompts_by_name.items():
            check(plain, prompt, delivered(harness, name))
        assert answers["r4"] == plain_output
        assert not any(isinstance(e, PromptLogprobs) for e in harness.recorder.events["plain"])
        assert bool(harness.scheduler.num_preemptions) is preempts
        harness.assert_settled()


@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_equals_transformers_for_any_chunk_size(plain: PreTrainedModel, chunk: int | None) -> None:
    run(plain, replace(BATCH, chunk=chunk))


def test_equals_transformers_when_a_chunk_has_several_slices(
    plain: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLICE_ROWS", 8)
    run(plain, BATCH)


def test_preempted_prompts_deliver_no_logprob_twice(plain: PreTrainedModel) -> None:
    options = EngineOptions(pages=40, max_num_batched_tokens=96)
    run(plain, options, preempts=True)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return pooled(small_model())


def test_a_prompt_preempted_during_prefill_continues_its_logprobs(model: PreTrainedModel) -> None:
    prompt = [(7 * i) % VOCABULARY for i in range(36)]
    options = EngineOptions(pages=22, max_num_seqs=4, max_num_batched_tokens=6)
    with running_engine(model, options) as harness:
        with harness.before_a_step():
            harness.engine.submit(request("grows", range(90, 94), 20))
            harness.engine.submit(request("shares", range(40, 80), 1))
            harness.engine.submit(with_logprobs("preempted", prompt))
        harness.recorder.wait_ended(["grows", "shares", "preempted"])
        assert harness.scheduler.num_preemptions == 1
        check(small_model(), prompt, delivered(harness, "preempted"))
        pieces = [e for e in harness.recorder.events["preempted"] if isinstance(e, PromptLogprobs)]
        assert len(pieces) > 1  # the first before it was preempted
        harness.assert_settled()


@pytest.mark.parametrize("max_num_seqs", [1, 2, 64])
def test_choices_share_the_logprobs_of_their_prompt(
    model: PreTrainedModel, max_num_seqs: int
) -> None:
    prompt = prompts(5)[4]
    options = EngineOptions(chunk=7, max_num_seqs=max_num_seqs)
    with running_engine(model, options) as harness:
        harness.engine.submit(replace(with_logprobs("a", prompt), choices=4))
        harness.recorder.wait_ended(["a"], choices=4)
        check(small_model(), prompt, delivered(harness, "a"))
        harness.assert_settled()


def test_penalties_bias_and_temperature_do_not_apply(model: PreTrainedModel) -> None:
    params = SamplingParams(
        temperature=0.3, seed=1, repetition_penalty=1.7, presence_penalty=1.0, logit_bias={3: 50}
    )
    prompt = [3, 3, 8, 1, 3]
    with running_engine(model) as harness:
        harness.run([replace(with_logprobs("a", prompt), sampling=params)])
        check(small_model(), prompt, delivered(harness, "a"))


def test_an_embedding_has_no_prompt_logprobs(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.engine.submit(
            replace(request("a", range(9), embed=Pooling.MEAN), prompt_logprobs=1)
        )
        harness.recorder.wait_ended(["a"])
        assert delivered(harness, "a") == []


def test_a_prompt_of_one_token_has_no_logprobs(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.run([with_logprobs("a", [5])])
        assert delivered(harness, "a") == []


def test_the_first_output_token_has_the_logprob_it_has_as_a_prompt_token(
    model: PreTrainedModel,
) -> None:
    prompt = prompts(4)[3]
    with running_engine(model) as harness:
        first = replace(request("first", prompt, 1), sampling=replace(GREEDY, logprobs=0))
        (token_id,) = harness.run([first])["first"]
        harness.run([with_logprobs("second", [*prompt, token_id])])
        made = harness.recorder.events["first"][-1]
        assert isinstance(made, Token)
        assert made.logprobs is not None
        assert delivered(harness, "second")[-1].chosen == pytest.approx(
            made.logprobs.chosen, abs=1e-5
        )


def test_a_prompt_with_nan_logits_fails_only_its_own_request() -> None:
    """Token 7 embeds as NaN, and every later token of its sequence attends to it."""
    broken = small_model()
    with torch.no_grad():
        broken.get_input_embeddings().weight[7] = torch.nan  # type: ignore[operator]
    with running_engine(pooled(broken), EngineOptions(chunk=4)) as harness:
        bad = replace(with_logprobs("bad", [1, 2, 3, 4, 5, 7, 8, 9, 10]), choices=2)
        with harness.before_a_step():
            harness.engine.submit(bad)
            harness.engine.submit(with_logprobs("good", [1, 2, 3, 4, 5]))
        harness.recorder.wait_ended(["bad", "good"])
        assert len(harness.recorder.tokens("good")) == 3
        assert len(delivered(harness, "good")) == 4
        events = harness.recorder.events["bad"]
        assert [type(e) for e in events] == [Admitted, PromptLogprobs, Failed]
        assert harness.engine.is_alive()
        harness.assert_settled()
