"""What a replica reports on /readyz, also one of another release."""

import json

import pytest

from sizeup_gateway.replicas.health import Health, health_of


@pytest.mark.parametrize(
    ("other", "progress", "stage"),
    [
        ({"progress": {"done": 1}, "stage": "weights"}, None, "weights"),
        ({"progress": 0.5, "stage": 3}, 0.5, None),
        ({"progress": 0.5, "stage": "weights", "ready": "soon"}, 0.5, "weights"),
    ],
)
def test_a_field_of_another_form_leaves_the_others_known(
    other: dict[str, object], progress: float | None, stage: str | None
) -> None:
    body = json.dumps({"state": "loading", **other}).encode()
    assert health_of(503, body) == Health(False, "loading", progress, stage)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]"])
def test_an_unknown_body_leaves_the_status(body: bytes) -> None:
    assert health_of(200, body) == Health(ready=True)
