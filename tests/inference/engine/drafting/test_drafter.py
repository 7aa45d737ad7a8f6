"""The draft model beside all kinds of requests, at the ends of outputs, and when it fails."""

from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel, Qwen2Config

from inference.engine.constraints import Only
from inference.engine.engines import (
    EngineOptions,
    Harness,
    generate,
    pooled,
    random_model,
    request,
    running_engine,
)
from inference.small_model import VOCABULARY, small_config, small_model
from sizeup_inference.engine.forward import Batch, Forwarded, ForwardPass
from sizeup_inference.engine.protocol import Embedded, Finish, Pooling, Token

torch.set_num_threads(1)

PROMPT = [3, 5, 8]
TOKENS = 20
NO_EOS = VOCABULARY


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_model()


@pytest.fixture(scope="module")
def answer(model: PreTrainedModel) -> list[int]:
    return generate(model, PROMPT, TOKENS, NO_EOS)


def tokens_of(harness: Harness, name: str) -> list[Token]:
    return [e for e in harness.recorder.events[name] if isinstance(e, Token)]


def steps_of(harness: Harness, name: str) -> list[list[int]]:
    """Return the tokens of a request by the batch of events that brought them."""
    steps = [
        [e.token_id for e in batch if isinstance(e, Token) and e.request_id == name]
        for batch in harness.recorder.batches
    ]
    return [step for step in steps if step]


def test_accepted_tokens_arrive_in_one_batch_of_events(
    model: PreTrainedModel, answer: list[int]
) -> None:
    with running_engine(pooled(model), EngineOptions(draft_tokens=3), pooled(model)) as harness:
        assert harness.run([request("a", PROMPT, TOKENS)]) == {"a": answer}
        steps = steps_of(harness, "a")
        assert [len(step) for step in steps] == [1, 4, 4, 4, 4, 3]
        tokens = tokens_of(harness, "a")
        assert sum(token.draft_tokens for token in tokens) == 14
        assert sum(token.accepted for token in tokens) == 14
        assert [t.accepted for t in tokens[:6]] == [False, True, True, True, False, True]
        stats = harness.engine.stats()
        assert (stats.draft_tokens, stats.draft_accepted_tokens) == (14, 14)
        assert stats.draft_length == 3
        assert stats.completion_tokens == TOKENS


@pytest.mark.parametrize("limit", range(1, 8))
def test_max_tokens_ends_the_output(model: PreTrainedModel, answer: list[int], limit: int) -> None:
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        assert harness.run([request("a", PROMPT, limit)]) == {"a": answer[:limit]}
        assert tokens_of(harness, "a")[-1].finish is Finish.LENGTH
        harness.assert_settled()


@pytest.mark.parametrize("index", range(1, 7))
def test_a_stop_token_among_accepted_ones_ends_the_output(
    model: PreTrainedModel, answer: list[int], index: int
) -> None:
    stop = answer[index]
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        expected = answer[: answer.index(stop) + 1]
        assert harness.run([request("a", PROMPT, TOKENS, stop=[stop])]) == {"a": expected}
        assert tokens_of(harness, "a")[-1].finish is Finish.STOP
        harness.assert_settled()


def test_constrained_requests_and_embeddings_are_computed_beside_drafts(
    model: PreTrainedModel, answer: list[int]
) -> None:
    even = range(0, VOCABULARY, 2)
    bound = request("bound", PROMPT, TOKENS, constraint=Only(even, VOCABULARY))
    embedded = request("embedded", PROMPT, embed=Pooling.MEAN)
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        alone = harness.run([bound])["bound"]
        assert harness.engine.stats().draft_tokens == 0
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        with harness.before_a_step():
            for made in (bound, embedded, request("free", PROMPT, TOKENS)):
                harness.engine.submit(made)
        harness.recorder.wait_ended(["bound", "embedded", "free"])
        assert harness.recorder.tokens("bound") == alone
        assert harness.recorder.tokens("free") == answer
        assert isinstance(harness.recorder.events["embedded"][-1], Embedded)
        assert harness.engine.stats().draft_accepted_tokens > 0


class Watched(ForwardPass):
    """A draft model's forward pass that counts its rows, and fails in some calls."""

    def __init__(
        self,
        harness: Harness,
        fails_after: int = 1_000_000,
        error: Exception | None = None,
    ) -> None:
        self.error = error or RuntimeError("injected failure")
        self.failures = 1_000_000
        assert harness.drafter is not None
        self._forward = harness.drafter.forward
        self.pool, self.draws = self._forward.pool, self._forward.draws
        self._left = fails_after
        self.rows: list[int] = []
        harness.drafter.forward = self

    def run(self, batch: Batch) -> Forwarded:
        self._left -= 1
        if self._left < 0 < self.failures:
            self.failures -= 1
            raise self.error
        self.rows.append(len(batch.ids))
        return self._forward.run(batch)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._forward.logits(hidden)


def test_a_late_draft_model_computes_what_it_lacks_in_several_steps(model: PreTrainedModel) -> None:
    """200 tokens of a prompt and those of ten steps, at most 64 beside each step."""
    prompts = [[(i + 7 * j) % VOCABULARY for j in range(200)] for i in range(2)]
    expected = [generate(model, prompt, 60, NO_EOS) for prompt in prompts]
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        watched = Watched(harness)
        harness.policy.left = 10
        with harness.before_a_step():
            for i, prompt in enumerate(prompts):
                harness.engine.submit(request(f"r{i}", prompt, 60))
        harness.recorder.wait_ended(["r0", "r1"])
        assert [harness.recorder.tokens(f"r{i}") for i in range(2)] == expected
        first = [n for n in watched.rows if n > 8]
        assert max(first) <= 64 + 2
        assert 400 <= sum(first) <= 500
        assert harness.engine.stats().draft_accepted_tokens > 0
        harness.assert_settled()


def test_both_models_take_a_prefix_from_the_cache(model: PreTrainedModel) -> None:
    shared = [(3 * i + 1) % VOCABULARY for i in range(80)]
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        watched = Watched(harness)
        harness.run([request("first", [*shared, 1], TOKENS)])
        assert sum(watched.rows) >= 81
        watched.rows.clear()
        harness.run([request("second", [*shared, 2], TOKENS)])
        # The new token, the output, and at most a page that was not entered in time.
        assert sum(watched.rows) <= 1 + TOKENS + EngineOptions().page_size


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_a_failing_draft_model_ends_drafting_and_no_request(
    model: PreTrainedModel, answer: list[int], after: int
) -> None:
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        Watched(harness, fails_after=after)
        assert harness.run([request("a", PROMPT, TOKENS)]) == {"a": answer}
        assert harness.engine.stats().draft_length == 0
        drafted = harness.engine.stats().draft_tokens
        assert harness.run([request("b", PROMPT, TOKENS)]) == {"b": answer}
        assert harness.engine.stats().draft_tokens == drafted


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError()])
def test_a_draft_model_that_runs_out_of_memory_is_used_again(
    model: PreTrainedModel, answer: list[int], error: Exception
) -> None:
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        watched = Watched(harness, fails_after=2, error=error)
        watched.failures = 1
        assert harness.run([request("a", PROMPT, TOKENS)]) == {"a": answer}
        assert watched.failures == 0
        drafted = harness.engine.stats().draft_tokens
        assert harness.run([request("b", PROMPT, TOKENS)]) == {"b": answer}
        assert harness.engine.stats().draft_tokens > drafted


def test_a_failed_step_fails_its_requests_only(model: PreTrainedModel, answer: list[int]) -> None:
    with running_engine(pooled(model), EngineOptions(), pooled(model)) as harness:
        harness.runner.failures = 1
        harness.engine.submit(request("bad", PROMPT, TOKENS))
        harness.recorder.wait_ended(["bad"])
        assert not tokens_of(harness, "bad")
        assert harness.run([request("good", PROMPT, TOKENS)]) == {"good": answer}
        harness.assert_settled()


def other_model(vocabulary: int) -> PreTrainedModel:
    config: Qwen2Config = small_config()
    config.vocab_size = vocabulary
    return random_model(config, seed=3)


@pytest.mark.parametrize("vocabulary", [VOCABULARY - 40, VOCABULARY + 40])
def test_vocabularies_may_be_padded_to_different_sizes(
    model: PreTrainedModel, answer: list[int], vocabulary: int
) -> None:
    """Prompts with tokens that the draft model lacks are not drafted."""
    draft = pooled(other_model(vocabulary))
    prompts: Sequence[list[int]] = [PROMPT, [VOCABULARY - 1, 4], [2, 9]]
    requests = [request(f"r{i}", prompt, TOKENS) for i, prompt in enumerate(prompts)]
    with running_engine(pooled(model), EngineOptions(), draft) as harness:
        answers = harness.run(requests)
        assert harness.engine.stats().draft_tokens > 0
    assert list(answers.values()) == [generate(model, p, TOKENS, NO_EOS) for p in prompts]
