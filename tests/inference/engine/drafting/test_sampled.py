"""Sampled output with a draft model: its distribution, and the same tokens for a seed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import (
    GREEDY,
    EngineOptions,
    pooled,
    random_model,
    request,
    running_engine,
)
from inference.engine.forwards.reference_device import ReferenceDevice
from inference.small_model import VOCABULARY, small_config
from sizeup_inference.engine.protocol import EngineEvent, EngineRequest, SamplingParams, Token

torch.set_num_threads(1)

PROMPT = (3, 5, 8)
DRAWS = 10_000
LEAST_EXPECTED = 10.0
"""Draws of a token, below which chi-square takes it together with others."""
SIGNIFICANCE = 1e-3
"""Seeds are fixed, so a test passes always or never."""

PLAIN = SamplingParams(temperature=1.0)
FILTERED = SamplingParams(temperature=0.8, top_k=12, top_p=0.9)


def flat(seed: int) -> PreTrainedModel:
    """Make a model of distributions so flat that the draw matters."""
    model = random_model(small_config(), seed)
    with torch.no_grad():
        for parameter in model.get_output_embeddings().parameters():  # type: ignore[no-untyped-call]
            parameter.mul_(0.3)
    return model


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return flat(0)


@pytest.fixture(scope="module")
def draft(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model that often agrees: the same one with other noise in its head."""
    near = flat(0)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in near.get_output_embeddings().parameters():  # type: ignore[no-untyped-call]
            parameter.add_(0.03 * torch.randn_like(parameter))
    return near


def probabilities(logits: torch.Tensor, sampling: SamplingParams) -> torch.Tensor:
    """Return float64[rows, vocabulary] after temperature, top_k and top_p."""
    weights = (logits.double() / sampling.temperature).softmax(-1)
    if sampling.top_k:
        least = weights.topk(sampling.top_k).values[:, -1:]
        weights = weights.where(weights >= least, 0.0)
        weights /= weights.sum(-1, keepdim=True)
    ordered, ids = weights.sort(descending=True)
    ordered = ordered.where(ordered.cumsum(-1) - ordered < sampling.top_p, 0.0)
    kept = torch.zeros_like(weights).scatter(-1, ids, ordered)
    return kept / kept.sum(-1, keepdim=True)


@torch.inference_mode()
def marginals(model: PreTrainedModel, sampling: SamplingParams, count: int) -> list[torch.Tensor]:
    """Return the distribution of each of the first tokens, over all that may come before it."""
    prompts, weights = torch.tensor([PROMPT]), torch.ones(1, dtype=torch.float64)
    result = []
    for _ in range(count):
        following = probabilities(model(prompts).logits[:, -1], sampling)
        joint = weights[:, None] * following
        result.append(joint.sum(0))
        rows, tokens = joint.nonzero(as_tuple=True)
        prompts = torch.cat([prompts[rows], tokens[:, None]], dim=1)
        weights = joint[rows, tokens]
    return result


def p_value(drawn: Sequence[int], expected: torch.Tensor) -> float:
    """Return Pearson's chi-square test of draws; 0 where one is impossible."""
    counts = Counter(drawn)
    if any(expected[token] == 0 for token in counts):
        return 0.0
    likely = [i for i, p in enumerate(expected.tolist()) if p * len(drawn) >= LEAST_EXPECTED]
    pairs = [(counts[i], float(expected[i]) * len(drawn)) for i in likely]
    rest = len(drawn) - sum(n for n, _ in pairs), len(drawn) - sum(e for _, e in pairs)
    if rest[1] >= LEAST_EXPECTED:
        pairs.append(rest)
    statistic = sum((n - e) ** 2 / e for n, e in pairs)
    freedom = torch.tensor((len(pairs) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, torch.tensor(statistic / 2).double()))


def test_the_distribution_of_10000_draws_is_that_of_the_model(
    model: PreTrainedModel, draft: PreTrainedModel
) -> None:
    """Of the second token, the first to be drafted, after whichever token came first."""
    options = EngineOptions(pages=2048, max_num_seqs=250, max_num_batched_tokens=2048)
    requests = [
        # The last token is never drafted.
        request(f"{i}", PROMPT, 3, replace(FILTERED, seed=i * 1000), choices=250)
        for i in range(DRAWS // 250)
    ]
    drawn: list[list[int]] = []
    with running_engine(pooled(model), replace(options, max_waiting=300), pooled(draft)) as harness:
        for made in requests:
            harness.engine.submit(made)
            harness.recorder.wait_ended([made.id], choices=250)
            drawn += [harness.recorder.tokens(made.id, choice) for choice in range(250)]
        stats = harness.engine.stats()
        # Both answers of the draft model occur.
        assert 0.2 < stats.draft_accepted_tokens / stats.draft_tokens < 0.95
    for position, expected in enumerate(marginals(model, FILTERED, 2)):
        assert p_value([tokens[position] for tokens in drawn], expected) > SIGNIFICANCE


def test_the_chi_square_test_rejects_a_slightly_different_distribution(
    model: PreTrainedModel, draft: PreTrainedModel
) -> None:
    """The draft model's own draws, which wrongly accepted tokens would be."""
    (own,), (other,) = marginals(draft, PLAIN, 1), marginals(model, PLAIN, 1)
    generator = torch.Generator().manual_seed(1)
    drawn = own.multinomial(DRAWS, replacement=True, generator=generator).tolist()
    assert p_value(drawn, own) > SIGNIFICANCE
    assert p_value(drawn, other) < SIGNIFICANCE


KINDS = (
    PLAIN,
    replace(FILTERED, min_p=0.01),
    replace(PLAIN, repetition_penalty=1.3, presence_penalty=0.5),
    replace(FILTERED, frequency_penalty=0.8, logit_bias={7: 2.0}),
    replace(PLAIN, logprobs=2),
    replace(GREEDY, repetition_penalty=1.2),
    replace(GREEDY, logprobs=1),
    GREEDY,
)


def batch() -> list[EngineRequest]:
    return [
        request(
            f"r{i}",
            [(7 * i + j) % VOCABULARY for j in range(1 + i % 9)],
            20,
            replace(KINDS[i % len(KINDS)], seed=100 + i),
            stop=[5, 6, 7],
            min_tokens=i % 3 * 4,
        )
        for i in range(32)
    ]


@pytest.mark.parametrize(
    "options",
    [
        EngineOptions(pages=512),
        EngineOptions(pages=48),
        EngineOptions(pages=512, device=ReferenceDevice(4)),  # which draws tokens itself
    ],
)
def test_a_seed_gives_the_same_tokens_and_logprobs_as_without_a_draft_model(
    model: PreTrainedModel, draft: PreTrainedModel, options: EngineOptions
) -> None:
    with running_engine(pooled(model), options) as harness:
        expected = harness.run(batch())
        tokens = events(harness.recorder.events)
    with running_engine(pooled(model), options, pooled(draft)) as harness:
        assert harness.run(batch()) == expected
        assert harness.engine.stats().draft_accepted_tokens > 0
        for name, drafted in events(harness.recorder.events).items():
            for one, other in zip(tokens[name], drafted, strict=True):
                assert one.finish == other.finish
                assert (one.logprobs is None) == (other.logprobs is None)
                if one.logprobs and other.logprobs:
                    assert one.logprobs.chosen == pytest.approx(other.logprobs.chosen, abs=1e-4)
        harness.assert_settled()


def events(recorded: Mapping[str, Sequence[EngineEvent]]) -> dict[str, list[Token]]:
    return {name: [e for e in kept if isinstance(e, Token)] for name, kept in recorded.items()}
