"""Load and unload requests: the keep-alive time, set on every replica of a model."""

import asyncio
import logging

from sizeup_gateway.errors import ReplicaUnavailableError, UpstreamError
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.scaling.activator import Activator
from sizeup_wire.errors import ErrorCode

_log = logging.getLogger(__name__)


class KeepAlive:
    """Loads and unloads models; one that does not scale to zero stays loaded."""

    def __init__(self, client: InferenceClient, activator: Activator) -> None:
        self._client = client
        self._activator = activator

    async def load(self, model: Model, name: str, seconds: float | None) -> None:
        """Wait until the model is ready, and set its keep-alive time; raises GatewayError.

        Negative seconds are unlimited; None keeps the current value.
        """
        request = self._activator.new_request(model, name)
        if not self._activator.scales_to_zero(model):
            await self._activator.wait(request)
            return
        while not await self._set(model, seconds):
            if model.pool.ready_count:
                message = "cannot connect to the inference process"
                raise UpstreamError(ErrorCode.UPSTREAM_LOST, message)
            await self._activator.wait(request)

    async def unload(self, model: Model) -> None:
        """Unload the model as soon as it is idle."""
        if self._activator.scales_to_zero(model):
            await self._set(model, 0.0)

    async def _set(self, model: Model, seconds: float | None) -> int:
        """Set the time on every ready replica; return the number of successes."""
        ready = [replica for replica in model.pool.replicas if replica.ready]
        successes = await asyncio.gather(*[self._set_one(replica, seconds) for replica in ready])
        return sum(successes)

    async def _set_one(self, replica: Replica, seconds: float | None) -> bool:
        try:
            response = await self._client.set_keep_alive(replica.url, seconds)
        except ReplicaUnavailableError as error:
            replica.ready = replica.ready and not error.is_down
            _log.warning("replica.lost", extra={"replica": replica.url, "error": error.message})
            return False
        replica.expires_at = response.expires_at
        return True
