"""Deployments whose rollout awaits Jobs, and these Jobs. Pure.

The chart pauses a Deployment whose weights are not downloaded yet. A paused Deployment creates no
pod of its present template; the pods of an earlier one serve on, and are scaled.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasPath, BaseModel, Field, ValidationError

from sizeup_gateway.cluster.api import ClusterError, JobEnd, Json, Rollout

DOWNLOAD = "sizeup.dev/download"
"""Annotation of a Deployment that is paused for a download: names of Jobs, separated by commas."""
_REVISION = "deployment.kubernetes.io/revision"
"""Kubernetes' annotation of a Deployment that has a ReplicaSet."""


class _Deployment(BaseModel):
    annotations: Mapping[str, str] | None = Field(
        None, validation_alias=AliasPath("metadata", "annotations")
    )
    version: str = Field(validation_alias=AliasPath("metadata", "resourceVersion"))


class _Condition(BaseModel):
    type: str
    status: str
    reason: str | None = None
    message: str | None = None


class _Job(BaseModel):
    conditions: tuple[_Condition, ...] | None = Field(
        None, validation_alias=AliasPath("status", "conditions")
    )


def rollout(item: Json) -> Rollout:
    """Read a Deployment; raises ClusterError. One paused by another client awaits no Jobs."""
    try:
        deployment = _Deployment.model_validate(item)
    except ValidationError as error:
        raise ClusterError(f"malformed Deployment: {error}") from error
    annotations = deployment.annotations or {}
    names = tuple(name for name in annotations.get(DOWNLOAD, "").split(",") if name)
    return Rollout(names, deployment.version, has_earlier=_REVISION in annotations)


def resumption(version: str) -> dict[str, Any]:
    """Return the merge patch that resumes a rollout if its resource version is the latest."""
    metadata = {"resourceVersion": version, "annotations": {DOWNLOAD: None}}
    return {"metadata": metadata, "spec": {"paused": None}}


def job_end(item: Json) -> JobEnd | None:
    """Read how a Job has ended, None if it has not; raises ClusterError."""
    try:
        conditions = _Job.model_validate(item).conditions or ()
    except ValidationError as error:
        raise ClusterError(f"malformed Job: {error}") from error
    for condition in conditions:
        if condition.status == "True" and condition.type == "Complete":
            return JobEnd(complete=True)
        if condition.status == "True" and condition.type == "Failed":
            said = (condition.reason, condition.message)
            return JobEnd(complete=False, reason=": ".join(part for part in said if part))
    return None
