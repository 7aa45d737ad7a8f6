import pytest

from sizeup_gateway.model_state import (
    DESCRIPTIONS,
    ModelState,
    model_state,
    state_after_refused_connection,
)


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        (["loading", "downloading", "failed"], ModelState.LOADING),
        (["downloading", "failed"], ModelState.DOWNLOADING),
        (["failed"], ModelState.FAILED),
        (["dead"], ModelState.FAILED),
        (["stalled"], ModelState.FAILED),
        ([None], ModelState.LOADING),
        (["an unknown state"], ModelState.LOADING),
        (["draining", "failed"], ModelState.FAILED),
    ],
)
def test_the_most_advanced_replica_determines_the_state(
    reported: list[str | None], state: str
) -> None:
    for scales in (True, False):
        assert (
            model_state(reported, ready=False, scales_to_zero=scales, desired_replicas=1) is state
        )
    assert (
        model_state(reported, ready=True, scales_to_zero=False, desired_replicas=None)
        is ModelState.READY
    )


@pytest.mark.parametrize(
    ("scales", "desired", "state"),
    [
        (True, 0, ModelState.UNLOADED),
        (True, None, ModelState.UNLOADED),
        (True, 1, ModelState.LOADING),
        (False, None, ModelState.LOADING),
    ],
)
def test_without_replicas_the_scale_decides(
    scales: bool, desired: int | None, state: ModelState
) -> None:
    for reported in ([], ["draining"]):
        found = model_state(reported, ready=False, scales_to_zero=scales, desired_replicas=desired)
        assert found is state


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        ([None], ModelState.UNLOADED),
        (["failed"], ModelState.UNLOADED),
        (["draining"], ModelState.UNLOADED),
        (["loading"], ModelState.LOADING),
    ],
)
def test_a_replica_that_was_scaled_down_may_keep_its_address(
    reported: list[str | None], state: ModelState
) -> None:
    found = model_state(reported, ready=False, scales_to_zero=True, desired_replicas=0)
    assert found is state


@pytest.mark.parametrize(
    ("previous", "now"),
    [
        ("loading", "failed"),
        ("failed", "failed"),
        ("downloading", None),
        ("ready", None),
        (None, None),
    ],
)
def test_a_refused_connection_is_interpreted_by_the_previous_state(
    previous: str | None, now: str
) -> None:
    assert state_after_refused_connection(previous) == now


def test_every_state_has_a_description() -> None:
    assert {DESCRIPTIONS[state] for state in ModelState} == {
        "is loading",
        "is downloading",
        "has failed",
        "is unloaded",
    }
