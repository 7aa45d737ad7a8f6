"""Handlers of Ollama's model management."""

import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.dependencies import Dependencies
from sizeup_gateway.api.ollama import documentation
from sizeup_gateway.api.ollama.manage import changes
from sizeup_gateway.api.ollama.manage.pull import pull_status
from sizeup_gateway.api.ollama.manage.schema import (
    CopyRequest,
    CreateRequest,
    DeleteRequest,
    PullRequest,
)
from sizeup_gateway.api.ollama.routes import describe
from sizeup_gateway.created_models.registry import CreatedModels
from sizeup_gateway.errors import (
    AccessCode,
    AccessError,
    InvalidRequestError,
    ModelNotFoundError,
    NotServedError,
)
from sizeup_gateway.models.selection import close_names
from sizeup_gateway.responses.event_response import EventResponse
from sizeup_gateway.responses.framing import NDJSON, Json, Timing
from sizeup_telemetry.api_docs import direct_router

_DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}")


class ManageRoutes:
    """Handlers of /api/pull, /api/copy, /api/create, /api/delete and /api/blobs."""

    def __init__(
        self,
        dependencies: Dependencies,
        created_models: CreatedModels,
        pull_seconds: float,
        remedy: str,
    ) -> None:
        """`pull_seconds`: how long a pull waits. `remedy`: how a model is added, for errors."""
        self._dependencies = dependencies
        self._created_models = created_models
        self._pull_seconds = pull_seconds
        self._remedy = remedy

    def router(self) -> APIRouter:
        router = direct_router("Ollama")
        router.post("/api/pull", **documentation.PULL)(self.pull)
        router.post("/api/copy", **documentation.COPY)(self.copy)
        router.post("/api/create", **documentation.CREATE)(self.create)
        router.delete("/api/delete", **documentation.DELETE)(self.delete)
        router.head("/api/blobs/{digest}", include_in_schema=False)(self.has_blob)
        return router

    async def pull(self, request: Request) -> Response:
        """Report the download of a model that is served; no other can be pulled."""
        body = await self._dependencies.read(request, PullRequest, describe)
        lines: AsyncGenerator[Json]
        try:
            selected = self._dependencies.select(request, body.named, generates=False)
            lines = pull_status(selected.model, body.named, self._pull_seconds)
        except ModelNotFoundError:
            lines = _no_manifest(self._not_served(body.named))
        return self._respond(lambda: lines, streams=body.stream is not False)

    async def copy(self, request: Request) -> Response:
        body = await self._dependencies.read(request, CopyRequest, describe)
        make = partial(changes.copied, self._dependencies.models, body, time.time())
        with self._dependencies.admission.held():
            await self._created_models.save(make)
        return Response()

    async def create(self, request: Request) -> Response:
        body = await self._dependencies.read(request, CreateRequest, describe)
        make = partial(changes.created, self._dependencies.models, body, time.time())

        async def lines() -> AsyncGenerator[Json]:
            try:
                await self._created_models.save(make)
            except ModelNotFoundError:
                raise self._not_served(body.from_ or "") from None
            for status in ("using existing layer", "writing manifest", "success"):
                yield {"status": status}

        return self._respond(lines, streams=body.stream is not False)

    async def delete(self, request: Request) -> Response:
        """Delete a created model; Ollama's clients accept no other status than 200."""
        body = await self._dependencies.read(request, DeleteRequest, describe)
        check = partial(changes.check_deletion, self._dependencies.models, body.named)
        with self._dependencies.admission.held():
            await self._created_models.delete(body.named, check)
        return Response()

    async def has_blob(self, request: Request) -> Response:
        """Answer `ollama create` that the file has to be uploaded."""
        digest = request.path_params["digest"]
        if _DIGEST.fullmatch(digest) is None:
            raise InvalidRequestError("invalid digest format")
        raise AccessError(AccessCode.ROUTE_NOT_FOUND, f'blob "{digest}" not found')

    def _not_served(self, name: str) -> NotServedError:
        return NotServedError(name, close_names(self._dependencies.models, name), self._remedy)

    def _respond(
        self, lines: Callable[[], AsyncGenerator[Json]], *, streams: bool
    ) -> EventResponse[Json]:
        async def batches() -> AsyncGenerator[Sequence[Json]]:
            async with aclosing(lines()) as one_by_one:
                async for line in one_by_one:
                    yield [line]

        return EventResponse(
            events=batches,
            accept=lambda _line, _metrics: True,
            chunks=_StatusChunks(),
            framing=NDJSON,
            streams=streams,
            admission=self._dependencies.admission,
            to_client_error=lambda error: error,
        )


class _StatusChunks:
    """Status lines are sent as they are; the last one is the whole response."""

    def __init__(self) -> None:
        self._last: Json = {}

    def to_chunks(self, event: Json, _timing: Timing) -> Sequence[Json]:
        return (event,)

    def collect(self, event: Json) -> int:
        self._last = event
        return 0

    def to_response(self, _timing: Timing) -> Json:
        return self._last


async def _no_manifest(error: NotServedError) -> AsyncGenerator[Json]:
    """Fail where Ollama does: its clients show the error without the HTTP status."""
    yield {"status": "pulling manifest"}
    raise error
