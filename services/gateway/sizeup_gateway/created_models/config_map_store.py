"""Created models in a ConfigMap, which all gateways of a release share."""

from sizeup_gateway.cluster.api import ClusterError, ConflictError
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.created_models.store import StoreConflictError, Stored, StoreError

KEY = "created-models.json"
"""Of the ConfigMap's data."""


class ConfigMapStore:
    def __init__(self, cluster: ClusterClient, name: str) -> None:
        self._cluster = cluster
        self._name = name

    async def read(self) -> Stored:
        try:
            found = await self._cluster.read_config_map(self._name)
        except ClusterError as error:
            raise StoreError(str(error)) from error
        return Stored(found.data.get(KEY, ""), found.version, found.watch_version)

    async def write(self, text: str, version: str) -> None:
        try:
            await self._cluster.write_config_map(self._name, {KEY: text}, version)
        except ConflictError as error:
            raise StoreConflictError(str(error)) from error
        except ClusterError as error:
            raise StoreError(str(error)) from error

    async def wait(self, watch_version: str) -> None:
        try:
            await self._cluster.wait_for_config_map(self._name, watch_version)
        except ClusterError as error:
            raise StoreError(str(error)) from error
