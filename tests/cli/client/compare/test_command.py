import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.children import DEADLINE_SECONDS
from cli.client.compare.fake_compare import CompareGateway, Hold
from cli.client.compare.script import (
    CANCELLED,
    COLD,
    DEAD,
    HOSTILE,
    SIZES,
    answered,
    failure,
    finish,
    header,
    last,
    text,
)
from cli.command import Command


@pytest.fixture
def compare(
    comparing: CompareGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    def run(*options: str, url: str = comparing.url) -> Command:
        arguments = ("compare", "What is 12 + 30?", "--url", url)
        return Command(capsys, monkeypatch, *arguments, *options)

    return run


def test_every_served_size_is_asked_by_default(compare: Any, comparing: CompareGateway) -> None:
    done = compare()
    assert (done.code, done.err) == (0, "")
    assert comparing.bodies == [
        {"models": list(SIZES), "prompt": "What is 12 + 30?", "options": {}, "stream": True}
    ]
    assert done.out.splitlines()[:3] == [f"{size}: It is 42." for size in SIZES]


def test_options_are_sent(compare: Any, comparing: CompareGateway) -> None:
    sampling = ("--max-tokens", "7", "--temperature", "0.5", "--seed", "3", "--samples", "2")
    others = ("--system", "Be brief.", "--one-at-a-time", "--wait-seconds", "30")
    compare("--models", "a,b", "--models", "c,a", *sampling, *others)
    assert comparing.bodies == [
        {
            "models": ["a", "b", "c"],
            "prompt": "What is 12 + 30?",
            "system": "Be brief.",
            "options": {"num_predict": 7, "temperature": 0.5, "seed": 3},
            "samples": 2,
            "one_at_a_time": True,
            "stream": True,
        }
    ]


def test_a_family_is_resolved_by_the_gateway(compare: Any, comparing: CompareGateway) -> None:
    assert compare("--family", "toy").code == 0
    assert comparing.bodies[0]["family"] == "toy"
    assert "models" not in comparing.bodies[0]


@pytest.mark.parametrize(
    "options",
    [
        ("--models", "a", "--family", "b"),
        ("--models", ","),
        ("--models", ",".join(f"m{number}" for number in range(17))),
        ("--models", "a,b,c,d,e,f,g,h,i", "--samples", "8"),
        ("--samples", "0"),
        ("--samples", "9"),
        ("--wait-seconds", "0"),
        ("--max-tokens", "many"),
        ("--unknown",),
    ],
)
def test_wrong_options_are_status_2(
    compare: Any, comparing: CompareGateway, options: tuple[str, ...]
) -> None:
    assert compare(*options).code == 2
    assert comparing.bodies == []


@pytest.mark.parametrize(("samples", "limit"), [(1, 16), (8, 8)])
def test_of_more_sizes_than_the_limit_the_smallest_are_asked(
    compare: Any, comparing: CompareGateway, samples: int, limit: int
) -> None:
    comparing.sizes = [f"m{number}" for number in range(20)]
    done = compare("--samples", str(samples))
    assert comparing.bodies[0]["models"] == comparing.sizes[:limit]
    assert "20 sizes" in done.err


def test_twelve_sizes(compare: Any, comparing: CompareGateway) -> None:
    models = [f"qwen:{number}b" for number in range(12)]
    comparing.script = answered(models)
    done = compare("--models", ",".join(models))
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.endswith(": It is 42.")] == [
        f"{model}: It is 42." for model in models
    ]


def test_a_gateway_without_models_is_an_error(compare: Any, comparing: CompareGateway) -> None:
    comparing.sizes = []
    done = compare()
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)


def test_cold_sizes_answer(compare: Any, comparing: CompareGateway) -> None:
    comparing.script = COLD
    done = compare()
    assert done.code == 0
    assert "toy:5m: It is 42." in done.out
    assert "no smaller size" in done.out


def test_a_failed_size_is_status_1(compare: Any, comparing: CompareGateway) -> None:
    comparing.script = DEAD
    done = compare()
    assert done.code == 1
    assert done.err.splitlines() == [
        "sizeup: toy:2m: the replica exited",
        "sizeup: toy:5m: model 'toy:5m' has failed, see its log",
    ]
    assert "toy:0.5m: 42\n" in done.out


def test_a_cancelled_size_is_status_1(compare: Any, comparing: CompareGateway) -> None:
    comparing.script = CANCELLED
    done = compare()
    assert (done.code, done.err) == (1, "sizeup: toy:0.5m: cancelled\n")


def test_hostile_text_reaches_neither_stdout_nor_stderr(
    compare: Any, comparing: CompareGateway
) -> None:
    comparing.script = [header("a", "b"), finish("a", HOSTILE), failure("b", HOSTILE), last()]
    done = compare()
    printed = (done.out + done.err).replace("\n", "")
    assert printed.isprintable()
    assert "[red]" in done.out


@pytest.mark.parametrize("length", [1, 3, len(COLD) - 1])
def test_a_truncated_stream_is_an_error(
    compare: Any, comparing: CompareGateway, length: int
) -> None:
    comparing.script = COLD[:length]
    done = compare()
    assert done.code == 1
    assert done.err == "sizeup: the stream ended before its last line\n"
    assert done.out.splitlines()[-1] == "seed 123"


@pytest.mark.parametrize(
    "piece",
    [b"<html>busy</html>\n", b"[]\n", b'{"error": "the catalog is empty"}\n', b"x" * (9 << 20)],
)
def test_a_malformed_stream_is_an_error(
    compare: Any, comparing: CompareGateway, piece: bytes
) -> None:
    comparing.script = [header("a"), finish("a", "42"), piece]
    done = compare()
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.out.startswith("a: 42\n")


def test_a_line_below_the_limit_is_read(compare: Any, comparing: CompareGateway) -> None:
    comparing.script = [header("a"), finish("a", "x" * (7 << 20)), last()]
    done = compare()
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"a: {'x' * (7 << 20)}\n")


@pytest.mark.parametrize("output", [(), ("--json",)])
def test_an_error_of_the_gateway_is_one_line(
    compare: Any, comparing: CompareGateway, output: tuple[str, ...]
) -> None:
    comparing.status, comparing.error = 404, "model 'b' not found"
    done = compare("--models", "b", *output)
    assert (done.code, done.out, done.err) == (1, "", "sizeup: model 'b' not found\n")


@pytest.mark.parametrize("options", [(), ("--models", "a"), ("--json",)])
def test_no_gateway_is_one_line(compare: Any, options: tuple[str, ...]) -> None:
    done = compare(*options, url="http://127.0.0.1:1")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "make run" in done.err


def test_silence_ends(compare: Any, comparing: CompareGateway) -> None:
    comparing.script = [header("a"), text("a", "4"), Hold()]
    done = compare("--models", "a", "--wait-seconds", "1")
    assert done.code == 1
    assert "in time" in done.err
    assert done.out.startswith("a: 4\n")


def json_response(*responses: dict[str, Any]) -> dict[str, Any]:
    compare = {**header("a", "b")["compare"], **last()["compare"]}
    return {"created_at": "now", "compare": compare, "responses": list(responses), "later": [1.5]}


def test_json_is_the_gateways_object_on_one_line(compare: Any, comparing: CompareGateway) -> None:
    comparing.response = json_response(finish("a", f"你好{HOSTILE}\n"), finish("b", "42"))
    done = compare("--json", "--models", "a,b")
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    assert json.loads(done.out) == comparing.response
    assert comparing.bodies[0]["stream"] is False
    assert "你好" in done.out
    assert not {"\x1b", "\x9b"} & set(done.out)


def test_json_with_a_failure_is_status_1(compare: Any, comparing: CompareGateway) -> None:
    comparing.response = json_response(finish("a", "42"), failure("b", "it died"))
    done = compare("--json", "--models", "a,b")
    assert (done.code, done.err) == (1, "sizeup: b: it died\n")
    assert json.loads(done.out) == comparing.response


@pytest.mark.parametrize("response", [{}, {"compare": 3}, {"compare": {"models": []}}])
def test_json_without_a_compare_is_an_error(
    compare: Any, comparing: CompareGateway, response: dict[str, Any]
) -> None:
    comparing.response = response
    done = compare("--json")
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_ctrl_c_cancels_and_prints_what_has_arrived(comparing: CompareGateway) -> None:
    comparing.script = [header("a", "b"), text("b", "4"), finish("a", "42"), Hold()]
    process = subprocess.Popen(
        [sys.executable, "-m", "sizeup", "compare", "hi", "--url", comparing.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (130, "")
    assert (first, out.splitlines()[0]) == ("a: 42\n", "b: 4")
    assert comparing.cancelled.wait(DEADLINE_SECONDS)


def test_a_file_gets_no_escape_codes(
    comparing: CompareGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    target = tmp_path / "answers.txt"
    with target.open("wb") as file:
        subprocess.run(
            [sys.executable, "-m", "sizeup", "compare", "hi", "--url", comparing.url],
            stdout=file,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
    assert "\x1b" not in target.read_text(encoding="utf-8")
    assert "toy:2m: It is 42." in target.read_text(encoding="utf-8")
