"""The created models as they are served, and their changes."""

import asyncio
import logging
import random
from collections.abc import Callable

from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_gateway.created_models import document
from sizeup_gateway.created_models.document import Document
from sizeup_gateway.created_models.store import Store, StoreConflictError, Stored, StoreError
from sizeup_gateway.errors import (
    AccessCode,
    AccessError,
    BusyError,
    GatewayError,
    ModelNotFoundError,
)
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.created import CreatedModel
from sizeup_gateway.observability.metrics import Metrics
from sizeup_wire.errors import ErrorCode
from sizeup_wire.names import name_key

_log = logging.getLogger(__name__)

_MAX_CONFLICTS = 5
"""Consecutive; each is a write by another gateway."""

_SETTINGS = "SIZEUP_GATEWAY_CREATED_MODELS or SIZEUP_GATEWAY_CREATED_MODELS_CONFIG_MAP"


class CreatedModels:
    """Keeps `models.created` equal to the store; changes the store first."""

    def __init__(self, models: Models, store: Store | None, metrics: Metrics) -> None:
        """Without a store nothing can be created."""
        self._models = models
        self._store = store
        self._metrics = metrics
        self._text = ""
        self._document = document.parse("")
        self._error: str | None = None
        """The present error, which has been logged."""
        self._lock = asyncio.Lock()
        self.has_synced = store is None
        """True once the store has been read, or could not be."""

    async def run(self) -> None:
        """Follow the store until cancelled; one that cannot be read changes nothing."""
        if self._store is None:
            return
        failures = 0
        while True:
            seen = self._text
            try:
                async with self._lock:
                    stored = await self._read(self._store)
                self.has_synced = True
                if self._text == seen:
                    # A watch that ends at once without a change must not turn into a busy loop.
                    await asyncio.sleep(pause_seconds(1, random.random()))
                await self._store.wait(stored.watch_version)
                failures = 0
            except StoreError as error:
                self._report(str(error))
                failures, self.has_synced = failures + 1, True
                await asyncio.sleep(pause_seconds(failures, random.random()))

    async def save(self, make: Callable[[], CreatedModel]) -> CreatedModel:
        """Add or replace the model that `make` returns; raises GatewayError.

        `make` is called with `models.created` up to date, again after a conflict.
        """
        made: list[CreatedModel] = []

        def change(current: Document) -> str:
            made.append(make())
            return document.with_model(current, made[-1])

        await self._change(change)
        return made[-1]

    async def delete(self, name: str, check: Callable[[], None]) -> None:
        """Delete a model unless `check` raises GatewayError, as this does if there is none."""

        def change(current: Document) -> str:
            check()
            if name_key(name) not in current.entries:
                raise ModelNotFoundError(name)
            return document.without_model(current, name_key(name))

        await self._change(change)

    async def _change(self, change: Callable[[Document], str]) -> None:
        if self._store is None:
            message = f"models cannot be created on this server: {_SETTINGS} is not set"
            raise AccessError(AccessCode.NOT_IMPLEMENTED, message)
        async with self._lock:
            try:
                await self._write(self._store, change)
            except StoreError as error:
                message = f"the created models cannot be changed: {error}"
                raise GatewayError(ErrorCode.INTERNAL, message) from error

    async def _write(self, store: Store, change: Callable[[Document], str]) -> None:
        for _ in range(_MAX_CONFLICTS):
            stored = await self._read(store)
            text = change(self._document)
            try:
                await store.write(text, stored.version)
            except StoreConflictError:
                continue
            self._take_over(text)
            return
        raise BusyError

    async def _read(self, store: Store) -> Stored:
        stored = await store.read()
        self._take_over(stored.text)
        self._report(None)
        return stored

    def _take_over(self, text: str) -> None:
        """Serve what a text contains; raise StoreError if it is not a document."""
        if text == self._text:
            return
        try:
            self._document = document.parse(text)
        except ValueError as error:
            raise StoreError(str(error)) from error
        self._text, self._models.created = text, self._document.models
        self._metrics.created_models.set(len(self._document.models))
        _log.info("created_models.changed", extra={"models": len(self._document.models)})
        for key, reason in self._document.errors.items():
            _log.error("created_models.entry_invalid", extra={"key": key, "error": reason})

    def _report(self, error: str | None) -> None:
        """Update the metric; log each error once."""
        self._metrics.created_models_unreadable.set(error is not None)
        if error is not None and error != self._error:
            _log.error("created_models.unreadable", extra={"error": error})
        self._error = error
