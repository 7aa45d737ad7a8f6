"""/api/pull: reports how far a model of the catalog is from being served."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from sizeup_gateway.api.ollama.describe import to_tag
from sizeup_gateway.errors import GatewayError, ModelNotFoundError, NotReadyError
from sizeup_gateway.model_state import ModelState
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.responses.framing import Json
from sizeup_wire.errors import ErrorCode

_POLL_SECONDS = 0.25
"""As often as a replica that is not ready is probed by default."""
_SHOWN_DIGITS = 12
_BYTES_PER_PARAMETER = 2
"""As most weights are published; the size of a download is not known before its end."""


async def pull_status(model: Model, name: str, seconds: float) -> AsyncGenerator[Json]:
    """Yield Ollama's status lines until the model is served, at most for these seconds.

    One that is scaled to zero has its weights: it is not woken. Raises GatewayError.
    """
    yield {"status": "pulling manifest"}
    previous: Json | None = None
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while model.state not in (ModelState.READY, ModelState.UNLOADED):
        _check(model, name)
        if loop.time() > deadline:
            raise NotReadyError(name, model.state)
        line = _progress(model)
        if line != previous:
            yield line
            previous = line
        await asyncio.sleep(_POLL_SECONDS)
    yield _layer(model, 1.0)
    for status in ("verifying sha256 digest", "writing manifest", "success"):
        yield {"status": status}


def _check(model: Model, name: str) -> None:
    if model.removed:
        raise ModelNotFoundError(name)
    if model.state is ModelState.FAILED and model.failure:
        raise GatewayError(ErrorCode.NOT_READY, f"model '{name}' has failed: {model.failure}")
    if model.state is ModelState.FAILED:
        raise NotReadyError(name, model.state)


def _progress(model: Model) -> Json:
    progress = model.progress or 0.0
    if model.state is ModelState.DOWNLOADING and model.entry.parameters:
        return _layer(model, progress)
    return {"status": f"{model.state} {progress:.0%}"}


def _layer(model: Model, progress: float) -> Json:
    tag = to_tag(model, datetime.now(UTC))
    total = tag["size"] or (model.entry.parameters or 0) * _BYTES_PER_PARAMETER
    return {
        "status": f"pulling {tag['digest'][:_SHOWN_DIGITS]}",
        "digest": f"sha256:{tag['digest']}",
        "total": total,
        "completed": round(total * progress),
    }
