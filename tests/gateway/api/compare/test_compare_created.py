"""Comparisons of created models."""

from pathlib import Path

import pytest

from gateway.api.compare.compare_client import compare
from gateway.api.compare.comparing import PROMPT, SMALL, comparing
from gateway.fake_inference import responding_with
from gateway.sizes import Sizes
from sizeup_wire.generate import ChatPrompt

NAMES = [SMALL, "brief:latest", "long:latest"]


@pytest.mark.parametrize("path", ["/api/compare", "/v1/compare"])
def test_several_created_from_one_size_answer_with_their_own_settings(
    tmp_path: Path, path: str
) -> None:
    async def scenario(sizes: Sizes) -> None:
        for name in NAMES[1:]:
            body = {"model": name, "from": SMALL, "system": name, "parameters": {"top_k": 3}}
            assert (await sizes.gateway.post("/api/create", body))[0] == 200
        body = PROMPT | {"models": [SMALL, "Brief", "long"], "family": None}
        body["history"] = {"brief": [{"role": "user", "content": "Hi"}]}
        found = await compare(sizes.gateway, body, path)
        assert [model["model"] for model in found.begin["models"]] == NAMES
        assert [found.text(name) for name in NAMES] == ["4"] * 3
        prompts = [request.prompt for request in sizes.replicas[SMALL].requests]
        turns = {
            tuple(message.content for message in prompt.messages)
            for prompt in prompts
            if isinstance(prompt, ChatPrompt)
        }
        asked = "What is 2 + 2?"
        assert turns == {(asked,), ("brief:latest", "Hi", asked), ("long:latest", asked)}
        top_k = sorted(r.sampling.top_k or 0 for r in sizes.replicas[SMALL].requests)
        assert top_k == [0, 3, 3]
        twice = PROMPT | {"models": ["brief", "BRIEF:latest"], "family": None}
        assert (await sizes.gateway.post(path, twice))[0] == 400

    file = tmp_path / "models.json"
    comparing(scenario, *[responding_with("4")] * 3, created_models=file)
