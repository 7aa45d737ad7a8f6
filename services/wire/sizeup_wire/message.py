"""The bases of all wire messages.

During a rolling upgrade gateways and replicas of two releases speak to each other. So a gateway
passes over what it does not know of a reply, and does not say a field of a request that is at its
default; only a request that uses something new is refused by a replica that lacks it. A default
is part of the protocol, then: it never changes, and another meaning is another field.
"""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """What is asked: refuse unknown fields and non-finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def to_json(self) -> bytes:
        """Return it as JSON, without what is at its default."""
        return self.model_dump_json(exclude_defaults=True).encode()


class ResponseModel(RequestModel):
    """What is answered: pass over unknown fields."""

    model_config = ConfigDict(extra="ignore")
