import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, RenderError, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())

MODEL = {"id": "Qwen/Qwen1.5-0.5B-Chat"}
NEITHER = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}
RECREATE = {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"modles": {}}, "modles"),
    ({"gateway": {"replica": 2}}, "replica"),
    ({"models": {"a": {**MODEL, "scaleToZero": {"keepalive": "5m"}}}}, "keepalive"),
    ({"models": {"a": {**MODEL, "paramters": 1}}}, "paramters"),
    ({"models": {"a": {}}}, "id is required"),
    ({"models": {"a": {"id": "toy-5m"}}}, "models.a.id"),
    ({"models": {"Qwen_7B": MODEL}}, "Qwen_7B"),
    ({"models": {"qwen1.5-7b": MODEL}}, "qwen1.5-7b"),
    ({"models": {"a" * 41: MODEL}}, "a" * 41),
    ({"models": [MODEL]}, "models"),
    ({"models": {"a": {**MODEL, "profile": "cpu:0"}}}, "models.a.profile"),
    ({"models": {"a": {**MODEL, "replicas": 0}}}, "models.a.replicas"),
    ({"models": {"a": {**MODEL, "replicas": "1"}}}, "models.a.replicas"),
    ({"models": {"a": {**MODEL, "autoscaling": {}}}}, "maxReplicas"),
    ({"models": {"a": {**MODEL, "autoscaling": {"minReplicas": 0, "maxReplicas": 2}}}}, "minRep"),
    ({"models": {"a": {**MODEL, "autoscaling": {"maxReplicas": 2, "enabled": True}}}}, "enabled"),
    ({"models": {"a": {**MODEL, "dtype": "int4"}}}, "models.a.dtype"),
    ({"models": {"a": {**MODEL, "quantization": "awq"}}}, "models.a.quantization"),
    ({"models": {"a": {**MODEL, "names": []}}}, "models.a.names"),
    ({"models": {"a": {**MODEL, "names": ["no spaces"]}}}, "models.a.names"),
    ({"models": {"a": {**MODEL, "endpoint": "hf-mirror.com"}}}, "models.a.endpoint"),
    ({"models": {"a": {**MODEL, "scaleToZero": {"keepAlive": "-1"}}}}, "keepAlive"),
    ({"profiles": {"x": {"gpuMemoryGiB": 24}}}, "resources is required"),
    ({"profiles": {"cpu": {"resources": {"limits": {"memory": "4 GB"}}}}}, "memory"),
    ({"profiles": {"cpu": {"resources": {"limits": {"gpu": 1}}}}}, "gpu"),
    ({"huggingface": {"token": "hf_secret"}}, "token"),
    ({"modelCache": {"mode": "hostPath"}}, "modelCache.mode"),
    ({"modelCache": {"accessModes": []}}, "accessModes"),
    ({"gateway": {"ingress": {"enabled": True}}}, "hosts"),
    ({"gateway": {"service": {"type": "ExternalName"}}}, "gateway.service.type"),
    ({"gateway": {"image": {"digest": "sha256:abc"}}}, "gateway.image.digest"),
    ({"networkPolicy": {"apiServer": {"cidrs": []}}}, "apiServer.cidrs"),
    ({"loadtest": {"scenario": "chat"}}, "loadtest.scenario"),
    ({"loadtest": {"shards": 2}}, "shards"),
    ({"gateway": {"streamDefault": "always"}}, "streamDefault"),
    ({"inference": {"fakeImage": {"tag": "x"}}}, "fakeImage"),
    ({"models": {"a": {**MODEL, "gpuMemoryGiB": 0}}}, "gpuMemoryGiB"),
    ({"loadtest": {"resources": {"limits": {"cpu": 1}}}}, "limits"),
    ({"auth": {"keys": ["secret"]}}, "keys"),
    ({"gateway": {"affinity": {"nodeAfinity": {}}}}, "nodeAfinity"),
    ({"loadtest": {"affinity": {"podAffinity": {"required": []}}}}, "required"),
    ({"gateway": {"env": [{"name": "A", "valueFrom": {"secretRef": {}}}]}}, "secretRef"),
    ({"gateway": {"env": [{"name": "A", "valueFrom": {}}]}}, "valueFrom"),
    ({"networkPolicy": {"gatewayFrom": [{"podSelector": {"app": "a"}}]}}, "app"),
    ({"networkPolicy": {"dns": [{"namespaceSelector": {"matchLabel": {}}}]}}, "matchLabel"),
    ({"gateway": {"httpRoute": {"parentRefs": [{"name": "a", "section": "b"}]}}}, "section"),
    ({"gateway": {"podLabels": {"app.kubernetes.io/component": "mine"}}}, "podLabels"),
    ({"inference": {"podLabels": {"sizeup.dev/model": "mine"}}}, "podLabels"),
    ({"podSecurityContext": {"privileged": True}}, "privileged"),
    ({"modelCache": {"accessModes": ["ReadWriteOncePod"]}}, "accessModes"),
    ({"gateway": {"limits": {"bodiesMiB": 10}}}, "bodiesMiB"),
    ({"gateway": {"clientLimits": {"requestsPerMinute": -1}}}, "requestsPerMinute"),
    ({"gateway": {"clientLimits": {"requests": 1}}}, "requests"),
    ({"monitoring": {"prometheusRule": {"coldStartSeconds": 3600}}}, "coldStartSeconds"),
    ({"networkPolicy": {"download": {"cidrs": [{"cidr": "::/0", "but": []}]}}}, "cidrs"),
    ({"networkPolicy": {"download": {"exceptCidrs": []}}}, "exceptCidrs"),
    ({"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.256/32"]}}}, "cidrs"),
    ({"networkPolicy": {"apiServer": {"cidrs": ["10.0.0.0/33"]}}}, "cidrs"),
    ({"networkPolicy": {"apiServer": {"cidrs": ["fd00::/129"]}}}, "cidrs"),
    ({"gateway": {"service": {"nodePort": 70000}}}, "nodePort"),
    ({"gateway": {"image": {"tag": "-x"}}}, "gateway.image.tag"),
    ({"gateway": {"podLabels": {"team": "a b"}}}, "podLabels.team"),
    ({"monitoring": {"interval": "0s"}}, "monitoring.interval"),
    ({"podSecurityContext": {"runAsUser": -1}}, "runAsUser"),
    ({"tests": {"deadlineSeconds": 2**31}}, "tests.deadlineSeconds"),
    ({"models": {"a": {**MODEL, "nodeSelector": {"gpu": "NVIDIA L4"}}}}, "nodeSelector.gpu"),
    ({"models": {"a": {**MODEL, "strategy": {"rollingUpdate": {"maxSurge": "x"}}}}}, "maxSurge"),
    ({"models": {"a": {**MODEL, "strategy": NEITHER}}}, "rollingUpdate"),
    ({"models": {"a": {**MODEL, "strategy": RECREATE}}}, "strategy"),
]


@pytest.mark.parametrize(("values", "key"), INVALID)
def test_invalid_value_is_rejected_by_name(values: dict[str, Any], key: str) -> None:
    with pytest.raises(RenderError) as error:
        render(values)
    assert "schema" in str(error.value)
    assert key in str(error.value)


def bounds_of(schema: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the path of every number in a schema, and whether it has both bounds."""
    if isinstance(schema, dict):
        kinds = schema.get("type", ())
        if {"integer", "number"} & set([kinds] if isinstance(kinds, str) else kinds):
            lowest = {"minimum", "exclusiveMinimum"} & schema.keys()
            highest = {"maximum", "exclusiveMaximum"} & schema.keys()
            yield path, bool(lowest and highest)
        for key, below in schema.items():
            yield from bounds_of(below, f"{path}/{key}")
    if isinstance(schema, list):
        for i, below in enumerate(schema):
            yield from bounds_of(below, f"{path}/{i}")


def test_every_number_is_bounded() -> None:
    """The API server rejects others, after it has accepted a part of the release."""
    assert len(found := dict(bounds_of(SCHEMA))) > 40
    assert {path for path, is_bounded in found.items() if not is_bounded} == {
        "/definitions/quantity"
    }


def objects_of(schema: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield path and schema of every object in a schema."""
    if isinstance(schema, dict):
        kinds = schema.get("type", ())
        object_like = "object" in kinds if isinstance(kinds, list) else kinds == "object"
        condition = path.rpartition("/")[2] in ("if", "then", "not")
        if not condition and (object_like or ("properties" in schema and path.count("/") > 0)):
            yield path, schema
        for key, below in schema.items():
            yield from objects_of(below, f"{path}/{key}")


OPEN = {
    "/properties/global": "global values of a parent chart",
    "/properties/loadtest/properties/config": "validated by sizeup-bench",
    "/properties/extraObjects/items": "any Kubernetes object",
    "/definitions/listed/items": "Kubernetes types, validated by the API server",
    "/definitions/namedList/items": "likewise",
    "/definitions/podFields/properties/extraVolumeMounts/items": "likewise",
    "/definitions/podFields": "the keys are those of the objects that include it",
}
"""Objects with arbitrary keys, and the reason."""


def test_objects_reject_unknown_keys() -> None:
    open_ended = {p for p, part in objects_of(SCHEMA) if "additionalProperties" not in part}
    assert open_ended == OPEN.keys()
    assert [p for p, part in objects_of(SCHEMA) if part.get("additionalProperties") is True] == []


KUBERNETES = {"affinity", "resources", "amounts", "peer", "labelSelector", "behavior"}
"""Definitions of Kubernetes types, which its documentation describes."""


POD_FIELDS = SCHEMA["definitions"]["podFields"]["properties"].keys()


def missing(values: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the keys that are in only one of values.yaml and the schema, except pod fields."""
    if reference := schema.get("$ref"):
        schema = SCHEMA["definitions"][reference.rpartition("/")[2]]
        if reference.rpartition("/")[2] in KUBERNETES:
            return
    properties = schema.get("properties", {})
    if not isinstance(values, dict) or not properties:
        return
    keys = (properties.keys() - POD_FIELDS) ^ values.keys()
    yield from (f"{path}.{key}" for key in keys)
    for key in properties.keys() & values.keys():
        yield from missing(values[key], properties[key], f"{path}.{key}")


RARE = {"supplementalGroups", "seLinuxOptions", "seccompProfile.localhostProfile"}


def test_every_key_has_a_default_in_values_yaml() -> None:
    known = {f".podSecurityContext.{key}" for key in RARE}  # for particular clusters
    assert set(missing(DEFAULTS, SCHEMA, "")) - known == set()


def test_pod_fields_are_complete_wherever_there_are_some() -> None:
    places = {path: part["properties"] for path, part in objects_of(SCHEMA) if "allOf" in part}
    assert len(places) == 8
    for path, properties in places.items():
        assert {key for key, schema in properties.items() if schema is True} == POD_FIELDS, path


@pytest.mark.parametrize("part", ["model", "profile", "podFields"])
def test_every_key_of_a_model_and_a_profile_is_documented(part: str) -> None:
    text = (CHART / "values.yaml").read_text()
    keys = SCHEMA["definitions"][part]["properties"]
    assert [key for key in keys if f"{key}:" not in text] == []
