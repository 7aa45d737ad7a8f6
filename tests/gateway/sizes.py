"""A gateway in front of several sizes of one family, each a scripted replica."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.fake_inference import FakeInference, Script, model_info
from gateway.harness import Gateway, running_gateway, until
from sizeup_wire.catalog import Catalog, CatalogEntry, Price

FAMILY = "qwen2.5"


@dataclass(frozen=True)
class Sizes:
    """The gateway and its replicas by name, ascending by size."""

    gateway: Gateway
    replicas: Mapping[str, FakeInference]

    @property
    def names(self) -> Sequence[str]:
        return list(self.replicas)

    def key(self, name: str) -> str:
        return name.replace(":", "-")

    async def wait_until_ready(self, *names: str) -> None:
        await until(
            lambda: all(
                self.gateway.sample("replicas_ready", model=self.key(name)) == 1 for name in names
            )
        )


def name_of(billions: float) -> str:
    return f"{FAMILY}:{billions:g}b"


@asynccontextmanager
async def running_sizes(
    scripts: Mapping[float, Script],
    *,
    cold: Sequence[float] = (),
    price: Price | None = None,
    **settings: Any,
) -> AsyncIterator[Sizes]:
    """Serve a size for each script, by billions of parameters; those in `cold` are not ready."""
    async with AsyncExitStack() as stack:
        replicas: dict[str, FakeInference] = {}
        entries: dict[str, CatalogEntry] = {}
        for billions in sorted(scripts):
            name, parameters = name_of(billions), round(billions * 1e9)
            info = model_info(f"Qwen/{name}").model_copy(update={"parameters": parameters})
            replica = FakeInference(scripts[billions], info)
            replica.ready = billions not in cold
            await replica.start()
            stack.push_async_callback(replica.stop)
            replicas[name] = replica
            entries[name.replace(":", "-")] = CatalogEntry(
                id=f"Qwen/{name.replace(':', '-')}",
                names=(name,),
                parameters=parameters,
                replicas=(replica.url,),
                price=price,
            )
        # In reverse, so that no order of the catalog passes for an order of sizes.
        models = Catalog(models=dict(reversed(list(entries.items()))))
        gateway = await stack.enter_async_context(
            running_gateway(models=models, wait=False, **settings)
        )
        sizes = Sizes(gateway, replicas)
        await sizes.wait_until_ready(*(name_of(b) for b in scripts if b not in cold))
        yield sizes
