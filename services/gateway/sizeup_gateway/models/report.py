"""What the last load test measured: the part of its results.json that comparisons show."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

_log = logging.getLogger(__name__)

_MAX_BYTES = 64 * 2**20
"""A run of ten models has 2 MB."""


class Measured(BaseModel):
    """One model; None is what was not measured."""

    model_config = ConfigDict(frozen=True)

    tokens_per_second: float | None = None
    """Of one stream at the lowest load."""
    ttft_seconds: float | None = None
    """The median at the lowest load."""
    max_load: float | None = None
    """Within the objectives: streams, or requests per second."""
    ability: float | None = None
    """Share of questions answered correctly, with its 95 % interval."""
    ability_low: float | None = None
    ability_high: float | None = None
    per_million_tokens: float | None = None
    """Cost of output tokens."""
    at: str | None = None
    """When the run began, as in ISO 8601."""


class LoadTestReport:
    """The results.json of a run, read again when the file changes."""

    def __init__(self, path: Path | None) -> None:
        """None: there is none."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._models: Mapping[str, Measured] = {}

    async def models(self) -> Mapping[str, Measured]:
        """Return what was measured, by the names that the run used; nothing without a report.

        A file that cannot be read is logged, once for each version of it.
        """
        if self._path is not None:
            await asyncio.to_thread(self._refresh, self._path)
        return self._models

    def _refresh(self, path: Path) -> None:
        try:
            status = path.stat()
            seen = (status.st_ino, status.st_size, status.st_mtime_ns)
            if seen == self._seen:
                return
            self._seen = seen
            with path.open("rb") as file:
                self._models = parse_report(file.read(_MAX_BYTES))
        except FileNotFoundError:
            self._seen, self._models = None, {}
        except (OSError, ValueError) as error:
            self._models = {}
            _log.error("report.invalid", extra={"file": str(path), "error": str(error)})


def parse_report(content: bytes) -> Mapping[str, Measured]:
    """Parse results.json; raise ValueError. Results without a valid measurement are left out."""
    results = _Results.model_validate_json(content)
    return {
        model.name: _measured(model, results.started_at)
        for model in results.models
        if model.invalid_reason is None
    }


def _measured(model: "_ModelResult", started_at: str) -> Measured:
    stages = [stage for stage in model.stages if stage.tok_s_user is not None]
    alone = min(stages, key=lambda stage: stage.level, default=None)
    ability = None if model.ability is None else model.ability.overall
    cost = None if model.cost is None else model.cost.per_million_output_tokens
    return Measured(
        tokens_per_second=alone.tok_s_user.value if alone and alone.tok_s_user else None,
        ttft_seconds=alone.ttft.p50 if alone and alone.ttft else None,
        max_load=model.capacity.max_load if model.capacity else None,
        ability=ability.value if ability else None,
        ability_low=ability.low if ability else None,
        ability_high=ability.high if ability else None,
        per_million_tokens=cost.value if cost else None,
        at=started_at,
    )


class _Part(BaseModel):
    """A part of results.json; its other fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Estimate(_Part):
    value: float


class _Proportion(_Part):
    value: float
    low: float
    high: float


class _Distribution(_Part):
    p50: float | None


class _Stage(_Part):
    level: float
    ttft: _Distribution | None
    tok_s_user: _Estimate | None


class _Capacity(_Part):
    max_load: float | None


class _Ability(_Part):
    overall: _Proportion


class _Cost(_Part):
    per_million_output_tokens: _Estimate | None


class _ModelResult(_Part):
    name: str
    invalid_reason: str | None = None
    stages: tuple[_Stage, ...] = ()
    capacity: _Capacity | None = None
    ability: _Ability | None = None
    cost: _Cost | None = None


class _Results(_Part):
    schema_version: Literal[1]
    started_at: str
    models: tuple[_ModelResult, ...]
