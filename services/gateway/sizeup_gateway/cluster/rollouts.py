"""Deployments whose rollout awaits Jobs, and these Jobs. Pure.

The chart pauses a Deployment whose weights are not downloaded yet. A paused Deployment creates no
pod of its present template; the pods of an earlier one serve on, and are scaled.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sizeup_gateway.cluster.api import ClusterError, JobEnd, Json, Rollout

DOWNLOAD = "sizeup.dev/download"
"""Annotation of a Deployment that is paused for a download: names of Jobs, separated by commas."""
_REVISION = "deployment.kubernetes.io/revision"
"""Kubernetes' annotation of a Deployment that has a ReplicaSet."""


class _Part(BaseModel):
    """The part of an object that is used."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Metadata(_Part):
    annotations: Mapping[str, str] | None = None
    version: str = Field(alias="resourceVersion")


class _Deployment(_Part):
    metadata: _Metadata


class _Condition(_Part):
    type: str
    status: str
    reason: str | None = None
    message: str | None = None


class _Status(_Part):
    conditions: tuple[_Condition, ...] | None = None


class _Job(_Part):
    status: _Status | None = None


def rollout(item: Json) -> Rollout:
    """Read a Deployment; raises ClusterError. One paused by another client awaits no Jobs."""
    try:
        metadata = _Deployment.model_validate(item).metadata
    except ValidationError as error:
        raise ClusterError(f"malformed Deployment: {error}") from error
    annotations = metadata.annotations or {}
    names = tuple(name for name in annotations.get(DOWNLOAD, "").split(",") if name)
    return Rollout(names, metadata.version, has_earlier=_REVISION in annotations)


def resumption(version: str) -> dict[str, Any]:
    """Return the merge patch that resumes a rollout if its resource version is the latest."""
    metadata = {"resourceVersion": version, "annotations": {DOWNLOAD: None}}
    return {"metadata": metadata, "spec": {"paused": None}}


def job_end(item: Json) -> JobEnd | None:
    """Read how a Job has ended, None if it has not; raises ClusterError."""
    try:
        status = _Job.model_validate(item).status or _Status()
    except ValidationError as error:
        raise ClusterError(f"malformed Job: {error}") from error
    for condition in status.conditions or ():
        if condition.status == "True" and condition.type == "Complete":
            return JobEnd(complete=True)
        if condition.status == "True" and condition.type == "Failed":
            said = (condition.reason, condition.message)
            return JobEnd(complete=False, reason=": ".join(part for part in said if part))
    return None
