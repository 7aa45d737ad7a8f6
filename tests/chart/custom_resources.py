"""Custom resources of the Gateway API, the Prometheus operator and KEDA, with the fields in use.

The schemas of Kubernetes do not include them, and API servers silently drop their unknown fields.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Duration = Annotated[str, StringConstraints(pattern="^([0-9]{1,5}(h|m|s|ms)){1,4}$")]
Name = Annotated[str, StringConstraints(pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Strict(BaseModel):
    """Rejects unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Strict):
    name: Name
    namespace: Name
    labels: dict[str, str]
    annotations: dict[str, str] = {}


class Match(Strict):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []


class Selector(Strict):
    matchLabels: dict[str, str] = {}
    matchExpressions: list[Match] = []


class Relabeling(Strict):
    action: Literal["replace", "keep", "drop", "labeldrop", "labelkeep", "labelmap"] = "replace"
    sourceLabels: list[str] = []
    regex: str | None = None
    replacement: str | None = None
    targetLabel: str | None = None


class Endpoint(Strict):
    port: Name
    interval: Duration
    relabelings: list[Relabeling] = []
    metricRelabelings: list[Relabeling] = []


class NamespaceSelector(Strict):
    matchNames: list[Name]


class ServiceMonitorSpec(Strict):
    namespaceSelector: NamespaceSelector | None = None
    selector: Selector
    endpoints: list[Endpoint] = Field(min_length=1)


class PodMonitorSpec(Strict):
    namespaceSelector: NamespaceSelector | None = None
    selector: Selector
    podMetricsEndpoints: list[Endpoint] = Field(min_length=1)


class Alert(Strict):
    alert: Annotated[str, StringConstraints(pattern="^Sizeup[A-Za-z]+$")]
    expr: str
    for_: Duration | None = Field(None, alias="for")
    labels: dict[Literal["severity"], Literal["warning", "critical"]]
    annotations: dict[Literal["summary"], str]


class RecordingRule(Strict):
    record: str
    expr: str


class Group(Strict):
    name: str
    rules: list[Alert | RecordingRule] = Field(min_length=1)


class PrometheusRuleSpec(Strict):
    groups: list[Group]


class ParentReference(Strict):
    group: str | None = None
    kind: str | None = None
    namespace: Name | None = None
    name: Name
    sectionName: Name | None = None
    port: Port | None = None


class Path(Strict):
    type: Literal["Exact", "PathPrefix", "RegularExpression"]
    value: Annotated[str, StringConstraints(pattern="^/")]


class RouteMatch(Strict):
    path: Path


class Timeouts(Strict):
    request: Duration


class Backend(Strict):
    name: Name
    port: Port


class RouteRule(Strict):
    matches: list[RouteMatch]
    timeouts: Timeouts
    backendRefs: list[Backend]


class HTTPRouteSpec(Strict):
    parentRefs: list[ParentReference] = Field(min_length=1)
    hostnames: list[Name] = []
    rules: list[RouteRule]


class ScaleTarget(Strict):
    name: Name


class PrometheusQuery(Strict):
    serverAddress: Annotated[str, StringConstraints(pattern="^https?://")]
    query: str
    threshold: Annotated[str, StringConstraints(pattern="^[0-9.]+$")]


class Trigger(Strict):
    type: Literal["prometheus"]
    metricType: Literal["AverageValue", "Value"]
    metadata: PrometheusQuery


class ScaledObjectSpec(Strict):
    scaleTargetRef: ScaleTarget
    minReplicaCount: Annotated[int, Field(ge=0)]
    maxReplicaCount: Annotated[int, Field(ge=1)]
    triggers: list[Trigger] = Field(min_length=1)


KINDS: dict[str, tuple[str, type[Strict]]] = {
    "HTTPRoute": ("gateway.networking.k8s.io/v1", HTTPRouteSpec),
    "ServiceMonitor": ("monitoring.coreos.com/v1", ServiceMonitorSpec),
    "PodMonitor": ("monitoring.coreos.com/v1", PodMonitorSpec),
    "PrometheusRule": ("monitoring.coreos.com/v1", PrometheusRuleSpec),
    "ScaledObject": ("keda.sh/v1alpha1", ScaledObjectSpec),
}
"""apiVersion and type of the spec, by kind."""


def validate(one: dict[str, Any]) -> None:
    """Raise ValueError if a custom resource is invalid."""
    version, spec = KINDS[one["kind"]]
    if one.keys() != {"apiVersion", "kind", "metadata", "spec"} or one["apiVersion"] != version:
        raise ValueError(f"{one['kind']}: apiVersion {one['apiVersion']}, fields {sorted(one)}")
    Metadata.model_validate(one["metadata"])
    spec.model_validate(one["spec"])
