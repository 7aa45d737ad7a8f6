"""Basic requests through the real processes, compared with transformers."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from system.deployment import Deployment
from system.models import ENDLESS, TOY, TOY_FOLDER
from system.requests import DONE, Question, chat, payloads, post, run, text_of, text_of_stream

GREEDY = {"temperature": 0, "num_predict": 48}
PROMPTS = ("Hello", "What is 12 + 30?", "Tell me a story.", "Count from 3 to 9.", "你好")


class Reference:
    """The same model in transformers."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder)

    def prompt_ids(self, prompt: str) -> list[int]:
        turns = [{"role": "user", "content": prompt}]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids: list[int] = self.tokenizer(text)["input_ids"]
        return ids

    def generate(self, prompt: str, max_tokens: int) -> list[int]:
        ids = torch.tensor([self.prompt_ids(prompt)])
        output = self._model.generate(ids, do_sample=False, max_new_tokens=max_tokens)
        response_ids: list[int] = output[0, ids.shape[1] :].tolist()
        return response_ids

    def logprobs(self, ids: list[int]) -> torch.Tensor:
        """Return float32[tokens - 1, vocabulary]: row p has the log-probabilities after token p."""
        with torch.inference_mode():
            rows: torch.Tensor = self._model(torch.tensor([ids])).logits[0, :-1].float()
        return rows.log_softmax(-1)

    def text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(TOY_FOLDER)


def check_statistics(reply: dict[str, Any]) -> None:
    """Ollama's six statistics are consistent."""
    durations = [reply[f"{part}_duration"] for part in ("load", "prompt_eval", "eval")]
    assert reply["prompt_eval_duration"] > 0
    assert reply["eval_duration"] > 0
    assert sum(durations) <= reply["total_duration"]
    assert reply["prompt_eval_count"] > 0
    assert reply["eval_count"] > 0


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_output_equals_transformers_generate(
    serving: Deployment, reference: Reference, prompt: str
) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        body = chat(TOY, prompt, stream=False, options=GREEDY)
        reply = await post(http, f"{serving.url}/api/chat", body)
        expected = reference.generate(prompt, GREEDY["num_predict"])
        assert reply["message"] == {"role": "assistant", "content": reference.text(expected)}
        assert reply["eval_count"] == len(expected)
        assert reply["prompt_eval_count"] == len(reference.prompt_ids(prompt))
        check_statistics(reply)

    run(scenario)


def test_a_stream_arrives_token_by_token(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        # Enough time for several reads on a busy machine.
        options = {"seed": 1, "num_predict": 800}
        body = chat(ENDLESS, "Hello", stream=True, options=options)
        async with http.post(f"{serving.url}/api/chat", json=body) as response:
            assert response.headers["content-type"] == "application/x-ndjson"
            reads = [read async for read in response.content.iter_any()]
        *chunks, last = [json.loads(line) for line in b"".join(reads).splitlines()]
        assert len(reads) > 1
        stamps = [part["created_at"] for part in (*chunks, last)]
        assert stamps == sorted(stamps)  # chunks that are sent together have the same
        assert stamps[0] < stamps[-1]
        assert [part["done"] for part in chunks] == [False] * len(chunks)
        assert all(part["message"]["content"] for part in chunks)
        # Tokens that arrive together are one chunk, like those of one character.
        assert 1 < len(chunks) <= last["eval_count"] == 800
        assert (last["done"], last["done_reason"]) == (True, "length")
        check_statistics(last)

    run(scenario)


def test_server_sent_events_of_a_chat_completion(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        body = chat(TOY, "Hello", stream=True, temperature=0, max_tokens=20)
        body["stream_options"] = {"include_usage": True}
        url = f"{serving.url}/v1/chat/completions"
        async with http.post(url, json=body) as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            *parts, end = [part async for part in payloads(response)]
        chunks = [json.loads(part) for part in parts]
        assert end == DONE
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        *_, finish, usage = chunks
        assert finish["choices"][0]["finish_reason"] in ("stop", "length")
        assert usage["choices"] == []
        contents = [c for c in chunks[1:-2] if c["choices"][0]["delta"]["content"]]
        eos = finish["choices"][0]["finish_reason"] == "stop"  # the end-of-sequence token
        assert usage["usage"]["completion_tokens"] == len(contents) + eos
        assert {chunk["model"] for chunk in chunks} == {TOY}

    run(scenario)


@pytest.mark.parametrize(
    "question",
    [
        Question("/api/chat", chat(TOY, "Tell me a story.", options=GREEDY)),
        Question("/v1/chat/completions", chat(TOY, "Tell me a story.", temperature=0)),
        Question("/api/generate", {"model": TOY, "prompt": "Tell me a story.", "options": GREEDY}),
        Question(
            "/v1/completions",
            {"model": TOY, "prompt": "Once upon a time", "temperature": 0, "max_tokens": 30},
        ),
    ],
    ids=lambda question: question.path,
)
def test_streaming_and_non_streaming_texts_are_equal(
    serving: Deployment, question: Question
) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        url = serving.url + question.path
        complete = await post(http, url, question.with_stream(stream=False))
        async with http.post(url, json=question.with_stream(stream=True)) as response:
            parts = [part async for part in payloads(response)]
        assert text_of(complete) == text_of_stream(parts) != ""
        assert complete["model"] == TOY

    run(scenario)


def test_the_context_of_generate_has_all_tokens(serving: Deployment, reference: Reference) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        body = {"model": TOY, "prompt": "What is 7 + 5?", "stream": False, "options": GREEDY}
        reply = await post(http, f"{serving.url}/api/generate", body)
        prompt, generated = reply["prompt_eval_count"], reply["eval_count"]
        assert reply["context"][:prompt] == reference.prompt_ids("What is 7 + 5?")
        assert len(reply["context"]) == prompt + generated
        assert reference.text(reply["context"][prompt:]) == reply["response"]
        check_statistics(reply)

    run(scenario)


def test_completions_do_not_apply_the_chat_template(
    serving: Deployment, reference: Reference
) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        text = "Once upon a time"
        body = {"model": TOY, "prompt": text, "temperature": 0, "max_tokens": 12}
        reply = await post(http, f"{serving.url}/v1/completions", body)
        usage = reply["usage"]
        assert usage["prompt_tokens"] == len(reference.tokenizer(text)["input_ids"])
        assert 0 < usage["completion_tokens"] <= 12
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]

    run(scenario)


@pytest.mark.parametrize("continuation", [" a time", " zebra 你好"])
def test_echoed_logprobs_by_the_indices_of_lm_eval(
    serving: Deployment, reference: Reference, continuation: str
) -> None:
    """The request and the slices of a loglikelihood in `lm_eval/models/openai_completions.py`."""
    context: list[int] = reference.tokenizer("Once upon")["input_ids"]
    response_ids: list[int] = reference.tokenizer(continuation)["input_ids"]
    ids = context + response_ids
    options = {"max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0, "seed": 1234}

    async def scenario(http: aiohttp.ClientSession) -> None:
        body = {"model": TOY, "prompt": [ids]} | options
        reply = await post(http, f"{serving.url}/v1/completions", body)
        assert reply["usage"]["prompt_tokens"] == len(ids)
        (choice,) = reply["choices"]
        logprobs = choice["logprobs"]
        assert choice["text"].startswith("Once upon" + continuation)
        assert logprobs["token_logprobs"][0] is logprobs["top_logprobs"][0] is None
        rows = reference.logprobs(ids)[len(context) - 1 :]
        expected = [float(row[token_id]) for row, token_id in zip(rows, response_ids, strict=True)]
        actual = logprobs["token_logprobs"][len(context) : -1]
        assert actual == pytest.approx(expected, abs=1e-4)
        for row, top in zip(rows, logprobs["top_logprobs"][len(context) : -1], strict=True):
            assert max(top.values()) == pytest.approx(float(row.max()), abs=1e-4)
        likeliest = [max(top, key=top.__getitem__) for top in logprobs["top_logprobs"][1:]]
        greedy = reference.logprobs(ids).argmax(-1).tolist()
        same = [n == t for n, t in zip(likeliest[:-1], logprobs["tokens"][1:-1], strict=True)]
        assert same == [a == b for a, b in zip(greedy, ids[1:], strict=True)]

    run(scenario)


def test_a_hub_id_without_stream_returns_one_object_with_null_images(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        body = chat(ENDLESS, "What is 2 + 2?", options={"num_predict": 8, "seed": 3})
        async with http.post(f"{serving.url}/api/chat", data=json.dumps(body)) as response:
            assert response.content_type == "application/json"
            reply = json.loads(await response.text())
        assert set(reply) >= {"created_at", "done", "message", "model"}
        assert reply["done"] is True
        assert reply["model"] == ENDLESS
        assert set(reply["message"]) == {"content", "images", "role"}
        assert reply["message"]["images"] is None
        assert reply["message"]["role"] == "assistant"
        assert reply["message"]["content"]

    run(scenario)


def test_a_name_without_stream_returns_a_stream(serving: Deployment) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        async with http.post(
            f"{serving.url}/api/chat", data=json.dumps(chat(TOY, "Hello", options=GREEDY))
        ) as response:
            parts = [json.loads(part) async for part in payloads(response)]
        assert [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True]
        assert len(parts) > 2

    run(scenario)
