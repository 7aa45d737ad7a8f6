"""Send the request of `sizeup compare`, and show its answers."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sizeup.client.compare import summary
from sizeup.client.compare.output import Output
from sizeup.client.compare.state import Comparison, apply, from_response
from sizeup.client.gateway_client import MAX_ANSWERS, Gateway, connect
from sizeup.client.terminal_text import json_line, one_line
from sizeup.errors import InvalidResponseError

_MAX_MODELS = 16
"""As the gateway limits them."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt and the sizes that answer it: models, or a family; without both, every size."""

    prompt: str
    models: tuple[str, ...] | None = None
    family: str | None = None
    system: str | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    samples: int = 1
    one_at_a_time: bool = False

    @property
    def max_models(self) -> int:
        return min(_MAX_MODELS, MAX_ANSWERS // self.samples)

    def fault(self) -> str | None:
        if self.models is None:
            return None
        if self.family is not None:
            return "give either --models or --family"
        if not self.models:
            return "--models has no names"
        if len(self.models) > self.max_models:
            return f"at most {self.max_models} models with {self.samples} sample(s) each"
        return None

    def body(self) -> dict[str, Any]:
        """Return the body of POST /api/compare."""
        optional = {
            "models": self.models,
            "family": self.family,
            "system": self.system,
            "samples": self.samples if self.samples > 1 else None,
            "one_at_a_time": self.one_at_a_time or None,
        }
        given = {name: value for name, value in optional.items() if value is not None}
        return {**given, "prompt": self.prompt, "options": dict(self.options)}


class Compare:
    """One compare; run it once."""

    def __init__(self, request: Request, url: str, response_seconds: float) -> None:
        self._request = request
        self._url = url
        self._response_seconds = response_seconds
        self._comparison = Comparison()

    def run(self, output: Output) -> bool:
        """Show the answers as they arrive; return whether every size answered.

        What has arrived is shown after an error and after Ctrl-C as well, which closes the
        connection and thereby cancels every answer.
        """
        try:
            asyncio.run(self._stream(output))
        finally:
            output.finish(self._comparison)
            answered = self._report_failures()
        return answered

    def run_json(self) -> bool:
        """Print the gateway's object on one line; return whether every size answered."""
        response = asyncio.run(self._receive())
        print(json_line(response), flush=True)
        self._comparison = from_response(response)
        return self._report_failures()

    async def _stream(self, output: Output) -> None:
        async with connect(self._url, self._response_seconds) as gateway:
            body = (await self._resolved(gateway)).body()
            begin = time.monotonic()
            async with contextlib.aclosing(gateway.stream_compare(body)) as lines:
                async for line in lines:
                    at = time.monotonic() - begin
                    self._comparison = apply(self._comparison, line, at)
                    output.show(self._comparison, at)

    async def _receive(self) -> dict[str, Any]:
        async with connect(self._url, self._response_seconds) as gateway:
            return await gateway.compare((await self._resolved(gateway)).body())

    async def _resolved(self, gateway: Gateway) -> Request:
        """Return the request with the served sizes in it, unless it names some."""
        if self._request.models is not None or self._request.family is not None:
            return self._request
        served, limit = await gateway.size_names(), self._request.max_models
        if not served:
            raise InvalidResponseError(f"{self._url} serves no models")
        if len(served) > limit:
            _warn(f"{len(served)} sizes are served: comparing the {limit} smallest")
        return replace(self._request, models=tuple(served[:limit]))

    def _report_failures(self) -> bool:
        failures = summary.failures(self._comparison)
        for failure in failures:
            _warn(failure)
        return not failures


def _warn(line: str) -> None:
    print(f"sizeup: {one_line(line)}", file=sys.stderr)
