"""What the last load test measured: the part of its results.json that comparisons show."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field

_log = logging.getLogger(__name__)

_MAX_BYTES = 64 * 2**20
"""A run of ten models has 2 MB."""


class _Part(BaseModel):
    """A part of results.json; its other fields are ignored, and what has no value is None."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


_OVERALL = ("ability", "overall")


class Measured(_Part):
    """One model; None is what was not measured."""

    tokens_per_second: float | None = None
    """Of one stream at the lowest load."""
    ttft_seconds: float | None = None
    """The median at the lowest load."""
    max_load: float | None = Field(None, validation_alias=AliasPath("capacity", "max_load"))
    """Within the objectives: streams, or requests per second."""
    ability: float | None = Field(None, validation_alias=AliasPath(*_OVERALL, "value"))
    """Share of questions answered correctly, with its 95 % interval."""
    ability_low: float | None = Field(None, validation_alias=AliasPath(*_OVERALL, "low"))
    ability_high: float | None = Field(None, validation_alias=AliasPath(*_OVERALL, "high"))
    per_million_tokens: float | None = Field(
        None, validation_alias=AliasPath("cost", "per_million_output_tokens", "value")
    )
    """Cost of output tokens."""
    at: str | None = None
    """When the run began, as in ISO 8601."""


class _Stage(_Part):
    level: float
    ttft_seconds: float | None = Field(None, validation_alias=AliasPath("ttft", "p50"))
    tokens_per_second: float | None = Field(None, validation_alias=AliasPath("tok_s_user", "value"))


class _ModelResult(Measured):
    name: str = Field(exclude=True)
    invalid_reason: str | None = Field(None, exclude=True)
    stages: tuple[_Stage, ...] = Field((), exclude=True)


class _Results(_Part):
    schema_version: Literal[1]
    started_at: str
    models: tuple[_ModelResult, ...]


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


def _measured(model: _ModelResult, started_at: str) -> Measured:
    stages = [stage for stage in model.stages if stage.tokens_per_second is not None]
    alone = min(stages, key=lambda stage: stage.level, default=None)
    lowest = {} if alone is None else alone.model_dump(exclude={"level"})
    return model.model_copy(update={**lowest, "at": started_at})
