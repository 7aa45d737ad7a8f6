"""The state that routes share, before and after the model is loaded."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from sizeup_inference.describe import details
from sizeup_inference.errors import DrainingError, NotReadyError
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.server.health import Health
from sizeup_inference.settings import Settings
from sizeup_telemetry.background import in_thread
from sizeup_telemetry.drain import Drain
from sizeup_wire.model import ModelInfo


@dataclass(slots=True)
class ServerState:
    """Belongs to the event loop."""

    settings: Settings
    drain: Drain
    metrics: InferenceMetrics
    health: Health
    described: ModelInfo | None = None
    """The model by its files; None before they are read, or if they cannot be read."""
    model: ServedModel | None = None
    """None until the warm-up has generated a token."""
    _details: bytes | None = None
    _reading_details: asyncio.Lock = field(default_factory=asyncio.Lock)

    def model_info(self) -> ModelInfo:
        """Return the description of the model, loaded or not, or raise NotReadyError."""
        if self.model is None and self.described is not None:
            info = self.described
        else:
            info = self.loaded_model().info
        return info.model_copy(update={"max_requests": self.capacity})

    @property
    def capacity(self) -> int:
        """Sequences that are accepted, running and waiting."""
        return self.settings.max_num_seqs + self.settings.max_waiting

    async def model_details(self) -> bytes:
        """Return the response of MODEL_DETAILS, or raise NotReadyError or StoreError.

        It is read once: parsing a vocabulary delays a step by a fraction of a second.
        """
        self.model_info()
        async with self._reading_details:
            if self._details is None:
                self._details = await in_thread(partial(details, self.settings), "details")
        return self._details

    def loaded_model(self) -> ServedModel:
        """Return the model, or raise NotReadyError."""
        if self.model is None:
            stage, progress = self.health.stage, self.health.progress
            raise NotReadyError(f"the model is loading: {stage}, {progress:.0%}")
        return self.model

    def accepting_model(self) -> ServedModel:
        """Return the model for a new request, or raise NotReadyError or DrainingError."""
        if self.drain.draining:
            raise DrainingError("the process is shutting down")
        return self.loaded_model()
