"""Ollama's options as wire fields."""

from typing import Any

import pytest

from sizeup_gateway.api.ollama import schema
from sizeup_gateway.api.ollama.translate import from_chat, from_generate
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import GenerateRequest, InfillPrompt

MESSAGES = [{"role": "user", "content": "hi"}]
EXAMPLE = {
    "num_keep": 5,
    "seed": 42,
    "num_predict": 100,
    "top_k": 20,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 0.7,
    "repeat_last_n": 33,
    "temperature": 0.8,
    "repeat_penalty": 1.2,
    "presence_penalty": 1.5,
    "frequency_penalty": 1.0,
    "penalize_newline": True,
    "stop": ["\n", "user:"],
    "numa": False,
    "num_ctx": 1024,
    "num_batch": 2,
    "num_gpu": 1,
    "main_gpu": 0,
    "use_mmap": True,
    "num_thread": 8,
}
"""Every option, as in Ollama's docs/api.md."""


def wire(**options: Any) -> GenerateRequest:
    body = {"model": "m", "messages": MESSAGES, "options": options}
    return from_chat(schema.ChatRequest.model_validate(body))


def test_the_example_of_ollamas_documentation_is_honoured() -> None:
    request = wire(**EXAMPLE)
    assert request.model_dump(
        exclude={"prompt", "fallback", "sampling"}, exclude_defaults=True
    ) == {
        "max_tokens": 100,
        "stop": ("\n", "user:"),
        "seed": 42,
        "max_context": 1024,
        "truncate": True,
        "num_keep": 5,
    }
    assert request.sampling.model_dump(exclude_none=True) == {
        "temperature": 0.8,
        "top_k": 20,
        "top_p": 0.9,
        "min_p": 0.0,
        "repetition_penalty": 1.2,
        "presence_penalty": 1.5,
        "frequency_penalty": 1.0,
        "repeat_last_n": 33,
    }


def test_a_nucleus_of_no_mass_is_greedy() -> None:
    sampling = wire(top_p=0, temperature=1.5).sampling
    assert (sampling.temperature, sampling.top_p) == (0.0, None)


@pytest.mark.parametrize(
    ("num_predict", "max_tokens"), [(-1, None), (-2, None), (0, 0), (5.0, 5), (2**40, 2**31 - 1)]
)
def test_a_negative_number_of_tokens_is_unlimited(
    num_predict: float, max_tokens: int | None
) -> None:
    assert wire(num_predict=num_predict).max_tokens == max_tokens


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(-1, None), (0, 0), (-2, 2**63 - 2), (2**63 - 1, 2**63 - 1), (-(2**63), 0)],
)
def test_a_seed_has_64_bits(seed: int, expected: int | None) -> None:
    assert wire(seed=seed).seed == expected


@pytest.mark.parametrize(("num_keep", "kept"), [(0, 0), (-1, 2**31 - 1), (2**40, 2**31 - 1)])
def test_a_negative_number_of_kept_tokens_is_unlimited(num_keep: int, kept: int) -> None:
    assert wire(num_keep=num_keep).num_keep == kept


def generate(**fields: Any) -> GenerateRequest:
    return from_generate(schema.GenerateRequest.model_validate({"model": "m", **fields}))


@pytest.mark.parametrize("fields", [{}, {"raw": True}, {"think": True}])
def test_a_suffix_makes_an_infill_prompt(fields: dict[str, Any]) -> None:
    request = generate(prompt="a", suffix="b", **fields)
    assert request.prompt == InfillPrompt(prefix="a", suffix="b")
    assert not request.return_context


@pytest.mark.parametrize("fields", [{"system": "x"}, {"context": [1]}])
def test_a_suffix_has_no_conversation(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        generate(prompt="a", suffix="b", **fields)
