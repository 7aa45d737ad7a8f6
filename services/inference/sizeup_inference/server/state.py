"""What the routes share: the process, before and after its model is there."""

from dataclasses import dataclass

from sizeup_inference.errors import DrainingError, NotReadyError
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.generation import ServedModel
from sizeup_inference.server.health import Health
from sizeup_inference.settings import Settings
from sizeup_telemetry.drain import Drain


@dataclass(slots=True)
class Service:
    """Belongs to the event loop."""

    settings: Settings
    drain: Drain
    metrics: InferenceMetrics
    health: Health
    model: ServedModel | None = None
    """None until a token has been generated."""

    def served(self) -> ServedModel:
        """Return the model, or raise NotReadyError."""
        if self.model is None:
            loading = self.health.loading
            raise NotReadyError(f"the model is loading: {loading.stage}, {loading.progress:.0%}")
        return self.model

    def accepting(self) -> ServedModel:
        """Return the model for new work, or raise NotReadyError or DrainingError."""
        if self.drain.draining:
            raise DrainingError("the process is shutting down")
        return self.served()
