"""The comparisons that this process runs."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from sizeup_gateway.comparison.fan_out import AnswerLimits, FanOut, Measure
from sizeup_gateway.comparison.updates import Plan, Update
from sizeup_gateway.errors import BusyError, InvalidRequestError
from sizeup_gateway.routing.dispatcher import Dispatcher


class Comparisons:
    def __init__(self, dispatcher: Dispatcher, limits: AnswerLimits, max_answers: int) -> None:
        """`max_answers`: of all comparisons together; the other requests' share is the rest."""
        self.limits = limits
        self._dispatcher = dispatcher
        self._max_answers = max_answers
        self._answers = 0
        self._running: dict[str, FanOut] = {}

    async def run(self, plan: Plan, measure: Measure) -> AsyncGenerator[Sequence[Update]]:
        """Yield the updates of a comparison; raise BusyError before the first."""
        count = len(plan.answers)
        if count > self._max_answers:
            message = f"the comparison has {count} answers, more than {self._max_answers}"
            raise InvalidRequestError(message, "models")
        if self._answers + count > self._max_answers:
            raise BusyError
        fan_out = FanOut(plan, self._dispatcher, measure, self.limits)
        self._answers += count
        self._running[plan.id] = fan_out
        try:
            async with aclosing(fan_out.updates()) as updates:
                async for batch in updates:
                    yield batch
        finally:
            del self._running[plan.id]
            self._answers -= count

    def stop(self, id: str, model: str, sample: int | None) -> int | None:
        """Stop answers and return how many had not ended; None: no such comparison runs here."""
        running = self._running.get(id)
        return None if running is None else running.stop(model, sample)
