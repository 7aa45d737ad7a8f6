"""The lines `up` shows at the end, run as they are."""

import ast
import json
import subprocess
import sys

import pytest

from system.asking import DEADLINE_SECONDS
from system.deployment import Deployment
from system.models import TOY


def pasted(serving: Deployment, start: str) -> str:
    """Run the line that starts so; return what it prints."""
    line = next(line for line in serving.output.splitlines() if line.startswith(start))
    return _printed(line)


def _printed(line: str) -> str:
    shell = ["/bin/sh", "-c", line]
    ended = subprocess.run(shell, capture_output=True, timeout=DEADLINE_SECONDS, check=True)
    return ended.stdout.decode()


def test_curl_streams_from_ollamas_door(serving: Deployment) -> None:
    lines = [json.loads(line) for line in pasted(serving, "curl http").splitlines()]
    assert len(lines) > 1
    assert {line["model"] for line in lines} == {TOY}
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]


def test_curl_gets_one_object_from_openais_door(serving: Deployment) -> None:
    reply = json.loads(pasted(serving, f"curl {serving.url}/v1/"))
    assert (reply["object"], reply["model"]) == ("chat.completion", TOY)
    assert reply["choices"][0]["message"]["content"]


@pytest.mark.parametrize("flag", ["", " --json"])
def test_ask_prints_the_answer_with_its_lengths(serving: Deployment, flag: str) -> None:
    line = next(line for line in serving.output.splitlines() if line.startswith("sizeup ask"))
    printed = _printed(f"{sys.executable} -m {line}{flag}")
    answer = json.loads(printed) if flag else ast.literal_eval(printed)
    assert set(answer) == {"finish_reason", "prompt_length", "response_length", "response_text"}
    assert answer["response_length"] > 0
    assert answer["response_text"]
