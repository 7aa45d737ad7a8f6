"""`GET` and `PUT /scale/NAME`: what `sizeup up` offers its gateway in place of Kubernetes' scales.

Over a Unix socket in a folder of the user's own.
"""

from pydantic import Field

from sizeup_wire.message import RequestModel

SCALE = "/scale/{name}"
"""404 for an unknown name, 409 for a PUT with a version that is not the latest."""


class ProcessScale(RequestModel):
    """Whether a process runs."""

    replicas: int = Field(ge=0, le=1)
    version: str
    """Changes with the scale."""
