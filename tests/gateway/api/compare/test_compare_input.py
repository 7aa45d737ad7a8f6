"""Comparisons that can never succeed."""

import json
from typing import Any

import pytest

from gateway.api.compare.comparing import LARGE, PROMPT, SMALL, comparing
from gateway.fake_inference import (
    responding_with,
)
from gateway.sizes import FAMILY, Sizes


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"prompt": "x"}, 400),
        ({"family": FAMILY}, 400),
        ({"family": FAMILY, "models": [SMALL], "prompt": "x"}, 400),
        ({"family": FAMILY, "prompt": "x", "messages": [{"role": "user", "content": "x"}]}, 400),
        ({"family": FAMILY, "messages": []}, 400),
        ({"models": [], "prompt": "x"}, 400),
        ({"models": [SMALL, "Qwen/qwen2.5-0.5b"], "prompt": "x"}, 400),
        ({"models": [SMALL] * 17, "prompt": "x"}, 400),
        ({"models": [1], "prompt": "x"}, 400),
        ({"models": ["qwen9:1b"], "prompt": "x"}, 404),
        ({"family": "qwen9", "prompt": "x"}, 404),
        (PROMPT | {"samples": 0}, 400),
        (PROMPT | {"samples": 9}, 400),
        (PROMPT | {"samples": "2"}, 400),
        (PROMPT | {"history": {"qwen9:1b": []}}, 404),
        ({"models": [SMALL], "prompt": "x", "history": {LARGE: []}}, 400),
    ],
)
def test_bad_input_is_rejected_before_any_size_is_asked(body: dict[str, Any], status: int) -> None:
    async def scenario(sizes: Sizes) -> None:
        for path in ("/api/compare", "/v1/compare"):
            found, _, text = await sizes.gateway.post(path, body)
            assert found == status, text
            assert "error" in json.loads(text)
        assert not any(replica.requests for replica in sizes.replicas.values())

    comparing(scenario, *[responding_with("4")] * 3)


@pytest.mark.parametrize(("settings", "samples"), [({"max_compare_answers": 2}, 1), ({}, 8)])
def test_a_comparison_that_is_too_large_is_rejected_for_good(
    settings: dict[str, Any], samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sizeup_gateway.api.compare.plan._MAX_CHARACTERS", 300)

    async def scenario(sizes: Sizes) -> None:
        body = PROMPT | {"samples": samples}  # of 14 characters
        status, _, _ = await sizes.gateway.post("/api/compare", body)
        assert status == 400
        assert not any(replica.requests for replica in sizes.replicas.values())

    comparing(scenario, *[responding_with("4")] * 3, **settings)
