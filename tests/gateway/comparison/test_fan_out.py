"""A fault of the gateway itself ends a comparison instead of leaving its client waiting."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sizeup_gateway.comparison.fan_out import AnswerLimits, FanOut
from sizeup_gateway.comparison.updates import Answer, Begun, Plan, Update
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.observability.request_metrics import RequestMetrics
from sizeup_wire.catalog import Catalog, CatalogEntry
from sizeup_wire.events import Event
from sizeup_wire.generate import GenerateRequest, TextPrompt


class FaultyMetrics(RequestMetrics):
    def finish(self) -> None:
        raise ZeroDivisionError


class NoEvents:
    """A dispatcher whose answers have no end."""

    async def generate(self, *_: Any, **__: Any) -> AsyncGenerator[Sequence[Event]]:
        return
        yield


async def _drain(updates: AsyncGenerator[Sequence[Update]]) -> None:
    async for _ in updates:
        pass


def test_a_crash_reaches_the_reader() -> None:
    async def scenario() -> None:
        models = Models(Catalog(models={"m": CatalogEntry(id="m", names=("m:1b",))}))
        request = GenerateRequest(prompt=TextPrompt(text="x"))
        answers = [Answer(models.by_key["m"], "m:1b", i, request) for i in range(3)]
        metrics = Metrics(CollectorRegistry())
        fan_out = FanOut(
            Plan("id", answers, 3, 0, one_at_a_time=False),
            NoEvents(),  # type: ignore[arg-type]
            lambda _key: FaultyMetrics(metrics, "/api/compare"),
            AnswerLimits(wait=1, total=5),
        )
        updates = fan_out.updates()
        (begun,) = await anext(updates)
        assert isinstance(begun, Begun)
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(_drain(updates), 10)

    asyncio.run(scenario())
