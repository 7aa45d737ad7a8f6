"""One request -> a replica -> its events."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from sizeup_gateway.errors import NotReadyError, ReplicaUnavailableError
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.replica_pool import NoReplicaError, Replica
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.routing.merge_streams import merge
from sizeup_gateway.scaling.activator import Activator, Hold
from sizeup_wire.events import Event, Started
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.model import TokenizeRequest, TokenizeResponse

ToWire = Callable[[], GenerateRequest]
"""Give a request as it is meant for the model; raise GatewayError for what that cannot do."""


def translated(model: Model, translate: ToWire) -> ToWire:
    """Translate a request now, and again once the model has said something else of itself.

    Now, so that what is wrong with it is said before anybody waits; again, because nothing is
    known of a model that was never up, and its first request shall mean what its second means.
    """
    info, request = model.info, translate()
    return lambda: request if model.info is info else translate()


class Dispatcher:
    """Give requests to replicas."""

    def __init__(self, client: InferenceClient, activator: Activator, metrics: Metrics) -> None:
        """Use one client for every model."""
        self._client = client
        self._activator = activator
        self._metrics = metrics

    def generate(
        self, model: Model, name: str, prompts: Sequence[ToWire], n: int = 1
    ) -> AsyncGenerator[Event]:
        """Yield the events of prompts of `n` choices each as those of one stream.

        Before the first event, raise GatewayError. `name` is how the person wrote the model's.
        """
        hold = self._activator.hold(model, name)
        streams = [self._generate(hold, prompt) for prompt in prompts]
        return streams[0] if len(streams) == 1 else merge(streams, n)

    async def _generate(self, hold: Hold, to_wire: ToWire) -> AsyncGenerator[Event]:
        """Yield the events of one prompt.

        A replica that cannot begin is left for another one, once: more would multiply with the
        retries of the caller's own client. A model that comes and goes with its use is waited
        for, again when its replica goes away in between, all before one deadline. What has begun
        is never repeated, since the person may have seen it.
        """
        model = hold.model
        failed: Replica | None = None
        held_ns = 0
        while True:
            try:
                with model.pool.lease(avoid=failed) as replica:
                    if failed is not None:
                        self._metrics.upstream_retries.labels(model.key).inc()
                    request = to_wire()
                    async with aclosing(self._client.generate(replica.url, request)) as events:
                        async for event in events:
                            yield _after(held_ns, event)
                    return
            except NoReplicaError:
                held_ns += await self._activator.wait(hold)
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
