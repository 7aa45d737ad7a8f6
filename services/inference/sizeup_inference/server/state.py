"""The state that routes share, before and after the model is loaded."""

from dataclasses import dataclass

from sizeup_inference.errors import DrainingError, NotReadyError
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.server.health import Health
from sizeup_inference.settings import Settings
from sizeup_telemetry.drain import Drain


@dataclass(slots=True)
class ServerState:
    """Belongs to the event loop."""

    settings: Settings
    drain: Drain
    metrics: InferenceMetrics
    health: Health
    model: ServedModel | None = None
    """None until the warm-up has generated a token."""

    def loaded_model(self) -> ServedModel:
        """Return the model, or raise NotReadyError."""
        if self.model is None:
            loading = self.health.loading
            raise NotReadyError(f"the model is loading: {loading.stage}, {loading.progress:.0%}")
        return self.model

    def accepting_model(self) -> ServedModel:
        """Return the model for a new request, or raise NotReadyError or DrainingError."""
        if self.drain.draining:
            raise DrainingError("the process is shutting down")
        return self.loaded_model()
