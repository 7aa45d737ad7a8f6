"""The strict base of every wire message."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Refuse unknown fields and non-finite numbers: both ends are released together."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
