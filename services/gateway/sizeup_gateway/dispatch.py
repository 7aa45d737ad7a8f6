"""One request -> a replica -> its events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sizeup_gateway.activator import Activator
from sizeup_gateway.catalog import Model
from sizeup_gateway.client import InferenceClient
from sizeup_gateway.errors import NotReadyError, ReplicaUnavailableError
from sizeup_gateway.metrics import Metrics
from sizeup_gateway.pool import NoReplicaError, Replica
from sizeup_wire.events import Event, Started
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import TokenizeRequest, TokenizeResponse


class Dispatcher:
    """Give requests to replicas."""

    def __init__(self, client: InferenceClient, activator: Activator, metrics: Metrics) -> None:
        """Use one client for every model."""
        self._client = client
        self._activator = activator
        self._metrics = metrics

    async def generate(
        self, model: Model, name: str, request: GenerateRequest
    ) -> AsyncGenerator[Event]:
        """Yield a request's events; before the first one, raise GatewayError.

        `name` is how the person wrote the model's, for errors.
        A replica that cannot begin is left for another one, once: more would multiply with the
        retries of the caller's own client. A model that comes and goes with its use is waited
        for, again when its replica goes away in between, all before one deadline. What has begun
        is never repeated, since the person may have seen it.
        """
        failed: Replica | None = None
        deadline, held_ns = self._activator.deadline(), 0
        while True:
            try:
                with model.pool.lease(avoid=failed) as replica:
                    if failed is not None:
                        self._metrics.upstream_retries.labels(model.key).inc()
                    async with aclosing(self._client.generate(replica.url, request)) as events:
                        async for event in events:
                            yield _after(held_ns, event)
                    return
            except NoReplicaError:
                held_ns += await self._activator.hold(model, name, deadline)
            except ReplicaUnavailableError as error:
                replica.ready = replica.ready and not error.is_down
                if error.is_down and self._activator.scales(model):
                    continue
                if failed is not None:
                    raise
                failed = replica

    async def tokenize(self, model: Model, name: str, request: TokenizeRequest) -> TokenizeResponse:
        """Tokenize on one ready replica, or raise GatewayError."""
        try:
            with model.pool.lease() as replica:
                return await self._client.tokenize(replica.url, request)
        except NoReplicaError:
            raise NotReadyError(name, model.state) from None


def _after(held_ns: int, event: Event) -> Event:
    """Count the time a request was held for its model as what it is: loading."""
    if held_ns and isinstance(event, Started):
        return event.model_copy(update={"load_ns": event.load_ns + held_ns})
    return event
