"""The example commands in the output of `up`, run unchanged."""

import ast
import json
import subprocess
import sys

import pytest

from system.deployment import Deployment
from system.models import TOY
from system.requests import DEADLINE_SECONDS


def run_example(serving: Deployment, prefix: str) -> str:
    """Run the first line with this prefix; return its output."""
    line = next(line for line in serving.output.splitlines() if line.startswith(prefix))
    return _output_of(line)


def _output_of(line: str) -> str:
    shell = ["/bin/sh", "-c", line]
    completed = subprocess.run(shell, capture_output=True, timeout=DEADLINE_SECONDS, check=True)
    return completed.stdout.decode()


def test_curl_streams_from_the_ollama_api(serving: Deployment) -> None:
    lines = [json.loads(line) for line in run_example(serving, "curl http").splitlines()]
    assert len(lines) > 1
    assert {line["model"] for line in lines} == {TOY}
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]


def test_curl_gets_one_object_from_the_openai_api(serving: Deployment) -> None:
    reply = json.loads(run_example(serving, f"curl {serving.url}/v1/"))
    assert (reply["object"], reply["model"]) == ("chat.completion", TOY)
    assert reply["choices"][0]["message"]["content"]


@pytest.mark.parametrize("flag", ["", " --json"])
def test_ask_prints_the_response_with_its_lengths(serving: Deployment, flag: str) -> None:
    line = next(line for line in serving.output.splitlines() if line.startswith("sizeup ask"))
    output = _output_of(f"{sys.executable} -m {line}{flag}")
    response = json.loads(output) if flag else ast.literal_eval(output)
    assert set(response) == {"finish_reason", "prompt_length", "response_length", "response_text"}
    assert response["response_length"] > 0
    assert response["response_text"]
