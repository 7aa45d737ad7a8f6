"""Base classes of all wire messages.

During a rolling upgrade, gateways and replicas of two releases exchange messages. A gateway
therefore ignores unknown response fields and omits request fields that are at their default, so a
replica of the older release rejects only requests that use a new field. Defaults are part of the
protocol: they never change, and a new meaning needs a new field.
"""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """A request: unknown fields and non-finite numbers are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def to_json(self) -> bytes:
        """Serialize without the fields that are at their default."""
        return self.model_dump_json(exclude_defaults=True).encode()


class ResponseModel(RequestModel):
    """A response: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")
