"""`sizeup-bench mock` as a process: its options, its address, its end."""

import json
import urllib.request
from pathlib import Path

import pytest

from mock_process import mock_process
from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.mock import Size, options
from sizeup_loadtest.record import Outcome

DEFAULT = Size("d", ttft_seconds=0.5, parallel=3)


def ask(url: str, model: str) -> dict[str, object]:
    body = json.dumps({"model": model, "prompt": "2 + 2?", "stream": False}).encode()
    request = urllib.request.Request(f"{url}/api/generate", body)
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, object] = json.load(response)
        return answer


def test_it_serves_the_sizes_it_is_told_and_says_what_it_did(tmp_path: Path) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"2 + 2?": "It is 4"}))
    sizes = ["--size=name=a,ttft=0.01,gap=0", "--size=name=b,ttft=0.01,gap=0,ability=0"]
    with mock_process([*sizes, f"--answers={answers}"]) as url:
        assert ask(url, "a")["response"] == "It is 4"
        assert ask(url, "b")["response"] == "I do not know."
        with urllib.request.urlopen(f"{url}/truth", timeout=60) as response:
            truth = json.load(response)
    assert [(t["model"], t["right"], t["tokens"]) for t in truth] == [
        ("a", True, 3),
        ("b", False, 4),
    ]


def test_a_size_takes_the_rest_from_the_default() -> None:
    assert options.size("name=x,ttft=0.1,parallel=7", DEFAULT) == Size(
        "x", ttft_seconds=0.1, parallel=7
    )
    assert options.size("name=y", DEFAULT).parallel == 3


@pytest.mark.parametrize("text", ["x", "name=", "speed=3", "gap=fast", "jitter=2", "parallel=0"])
def test_a_size_that_makes_no_sense_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        options.size(text, DEFAULT)


def test_failures_share_evenly() -> None:
    assert options.failures(["busy", "failed"], 0.5) == {Outcome.BUSY: 0.25, Outcome.FAILED: 0.25}
    assert options.failures(["busy"], 0) == {}
    with pytest.raises(UsageError, match="--fail-kind ok"):
        options.failures(["ok"], 0.5)


def test_answers_that_are_none_are_told(tmp_path: Path) -> None:
    assert options.answers(None) == {}
    for text in ("[]", "{", '{"a": 1}'):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(UsageError, match="--answers"):
            options.answers(tmp_path / "a.json")
