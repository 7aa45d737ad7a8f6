"""Validates rendered objects against the API types of several versions of Kubernetes."""

import kubernetes_validate  # type: ignore[import-untyped]

from chart import custom_resources
from chart.rendering import Json

KUBERNETES = ("1.30", "1.34", "1.37")
"""The oldest supported, the one of the cluster tests, and the newest with schemas."""


def validate(one: Json, version: str) -> None:
    """Raise ValueError or ValidationError if the object is invalid or has an unknown field."""
    if one["kind"] in custom_resources.KINDS:
        custom_resources.validate(one)
    else:
        kubernetes_validate.validate(one, version, strict=True)
