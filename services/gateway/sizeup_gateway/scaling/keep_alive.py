"""Load and unload requests: how long a model stays, said to every replica of it."""

import asyncio
import logging

from sizeup_gateway.errors import NotReadyError, ReplicaUnavailableError
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.scaling.activator import Activator

_log = logging.getLogger(__name__)


class Residence:
    """Keep models, and let them go. One that is not scaled is resident, whatever is asked."""

    def __init__(self, client: InferenceClient, activator: Activator) -> None:
        """Speak to replicas through one client."""
        self._client = client
        self._activator = activator

    async def load(self, model: Model, name: str, seconds: float | None) -> None:
        """Return when the model is ready and stays so long after its last use, or GatewayError.

        None leaves what was said before, at first the process's own setting; negative is for ever.
        """
        if not self._activator.scales(model):
            if not model.pool.ready_count:
                raise NotReadyError(name, model.state)
            return
        hold = self._activator.hold(model, name)
        while not await self._tell(model, seconds):
            await self._activator.wait(hold)

    async def unload(self, model: Model) -> None:
        """Let the model go as soon as it is idle."""
        if self._activator.scales(model):
            await self._tell(model, 0.0)

    async def _tell(self, model: Model, seconds: float | None) -> int:
        """Tell every ready replica, and return how many have heard it."""
        ready = [replica for replica in model.pool.replicas if replica.ready]
        heard = await asyncio.gather(*[self._tell_one(replica, seconds) for replica in ready])
        return sum(heard)

    async def _tell_one(self, replica: Replica, seconds: float | None) -> bool:
        try:
            reply = await self._client.reside(replica.url, seconds)
        except ReplicaUnavailableError as error:
            replica.ready = False
            _log.warning("replica.lost", extra={"replica": replica.url, "error": error.message})
            return False
        replica.expires_at = reply.expires_at
        return True
