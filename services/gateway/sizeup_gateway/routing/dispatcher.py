"""Sends each request to a replica, with one retry and a queue for models that are starting."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TypeVar

from sizeup_gateway import client_identity
from sizeup_gateway.errors import BusyError, NotReadyError, ReplicaUnavailableError
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.replica_pool import NoReplicaError, Replica
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.routing.merge_streams import merge
from sizeup_gateway.routing.prompt_limits import within_context
from sizeup_gateway.scaling.activator import Activator, QueuedRequest
from sizeup_telemetry.places import FullError
from sizeup_wire.embeddings import EmbedEvent, EmbedRequest
from sizeup_wire.events import Event, Started
from sizeup_wire.generate import GenerateRequest
from sizeup_wire.message import ResponseModel
from sizeup_wire.model import TokenizeRequest, TokenizeResponse

_EventT = TypeVar("_EventT", bound=ResponseModel)
_Send = Callable[[str], AsyncGenerator[Sequence[_EventT]]]
"""Sends a request to an address; by then it is known what the model can take."""


class Dispatcher:
    def __init__(self, client: InferenceClient, activator: Activator, metrics: Metrics) -> None:
        self._client = client
        self._activator = activator
        self._metrics = metrics

    def generate(
        self,
        model: Model,
        name: str,
        requests: Sequence[GenerateRequest],
        *,
        waits_while_loading: bool = True,
    ) -> AsyncGenerator[Sequence[Event]]:
        """Yield the events of requests with equal `n` as one stream.

        Raises GatewayError before the first event. `name` is the model's as the client wrote it.
        Without `waits_while_loading`, only a model that these requests activate is waited for.
        """

        def sender(request: GenerateRequest, accepted: asyncio.Event) -> _Send[Event]:
            return lambda url: self._client.generate(
                url, within_context(request, model.info), accepted.set
            )

        queued = self._activator.new_request(model, name, while_loading=waits_while_loading)
        accepted = [asyncio.Event() for _ in requests]
        streams = [
            self._dispatch(queued, request.n, sender(request, event))
            for request, event in zip(requests, accepted, strict=True)
        ]
        return streams[0] if len(streams) == 1 else merge(streams, requests[0].n, accepted)

    def embed(
        self, model: Model, name: str, request: EmbedRequest
    ) -> AsyncGenerator[Sequence[EmbedEvent]]:
        """Yield the events of a batch; those of a replica that failed may come again.

        Raises GatewayError. `name` is the model's as the client wrote it.
        """
        queued = self._activator.new_request(model, name)
        return self._dispatch(
            queued, 1, lambda url: self._client.embed(url, within_context(request, model.info))
        )

    async def _dispatch(
        self, queued: QueuedRequest, choices: int, send: _Send[_EventT]
    ) -> AsyncGenerator[Sequence[_EventT]]:
        """Yield the events of one request, which `send` sends to the address of a replica.

        A replica that is unavailable is replaced once: more retries would multiply with those of
        the client. A model that is starting is waited for until the deadline of the queue; one that
        scales to zero again and again, if its replica disappears meanwhile. Once the client may
        have received an event, a failure is an event too, and there is no retry.
        """
        model = queued.model
        failed: Replica | None = None
        load_ns = 0
        while True:
            begun_ns = time.perf_counter_ns()
            try:
                with self._place(model, choices), model.pool.lease(avoid=failed) as replica:
                    load_ns += time.perf_counter_ns() - begun_ns
                    if failed is not None:
                        self._metrics.upstream_retries.labels(model.key).inc()
                    async with aclosing(send(replica.url)) as events:
                        async for batch in events:
                            yield _add_load_time(batch, load_ns)
                    return
            except NoReplicaError:
                load_ns += await self._activator.wait(queued)
            except ReplicaUnavailableError as error:
                replica.ready = replica.ready and not error.is_down
                if error.is_down and self._activator.scales_to_zero(model):
                    continue
                if failed is not None or (error.is_hung and model.pool.pick(replica) is replica):
                    raise
                failed = replica

    @contextmanager
    def _place(self, model: Model, choices: int) -> Iterator[None]:
        """Hold places of a model, or raise BusyError: its replicas would reject the request."""
        try:
            with model.current_places().held(client_identity.current.get(), choices):
                yield
        except FullError:
            raise BusyError from None

    async def details(self, model: Model) -> Sequence[bytes] | None:
        """Return the tensors and vocabulary of a model, as InferenceClient.model_details.

        None if it has no process, or one of an older release.
        """
        replica = model.pool.pick() or next((r for r in model.pool.replicas if r.state), None)
        return None if replica is None else await self._client.model_details(replica.url)

    async def tokenize(self, model: Model, name: str, request: TokenizeRequest) -> TokenizeResponse:
        """Tokenize on a ready replica, or raise GatewayError."""
        try:
            with model.pool.lease() as replica:
                fitting = within_context(request, model.info)
                return await self._client.tokenize(replica.url, fitting)
        except NoReplicaError:
            raise NotReadyError(name, model.state) from None


def _add_load_time(events: Sequence[_EventT], load_ns: int) -> Sequence[_EventT]:
    """Count the time until a replica was found, in the activation queue or not, as load time."""
    first = events[0]
    if isinstance(first, Started):
        waited = first.model_copy(update={"load_ns": first.load_ns + load_ns})
        return [waited, *events[1:]]
    return events
