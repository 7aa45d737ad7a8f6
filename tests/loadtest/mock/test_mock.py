"""The mock server as a process: its options, responses and recorded requests."""

import json
import urllib.request

from mock_process import mock_process


def generate(url: str) -> dict[str, object]:
    body = json.dumps({"model": "mock:1b", "prompt": "2 + 2?", "stream": False}).encode()
    request = urllib.request.Request(f"{url}/api/generate", body)
    with urllib.request.urlopen(request, timeout=60) as response:
        served: dict[str, object] = json.load(response)
        return served


def test_it_responds_as_configured_and_records_its_requests() -> None:
    with mock_process(["--ttft-seconds=0.01", "--gap-seconds=0", "--tokens=3"]) as url:
        assert generate(url)["eval_count"] == 3
        with urllib.request.urlopen(f"{url}/truth", timeout=60) as response:
            (recorded,) = json.load(response)
    assert (recorded["prompt"], recorded["tokens"]) == ("2 + 2?", 3)
