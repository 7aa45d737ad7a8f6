"""Renders the chart with `helm template`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

HELM = Path(sys.executable).parent / "helm"
CHART = Path(__file__).parents[2] / "charts" / "sizeup"
VALUES = tuple(sorted(path.stem for path in (CHART / "values").glob("*.yaml")))
"""Names of the presets in charts/sizeup/values."""

EVERYTHING: Json = {
    "models": {
        "small": {
            "id": "Qwen/Qwen1.5-0.5B-Chat",
            "profile": "cpu",
            "maxModelLen": 2048,
            "replicas": 2,
        },
        "middle": {
            "id": "Qwen/Qwen1.5-7B-Chat",
            "revision": "0123456789abcdef0123456789abcdef01234567",
            "profile": "gpu-48g",
            "maxModelLen": 2048,
            "replicas": 2,
            "env": [{"name": "CUDA_DEVICE_ORDER", "value": "PCI_BUS_ID"}],
        },
        "scaled": {
            "id": "Qwen/Qwen1.5-72B-Chat",
            "profile": "gpu-80g:4",
            "maxModelLen": 8192,
            "scaleToZero": {"enabled": True, "keepAlive": "90s"},
        },
        "fake": {"id": "sizeup/fake", "profile": "cpu-small", "engine": "fake"},
        "absent": {"id": "Qwen/Qwen2-7B", "enabled": False},
    },
    "auth": {"existingSecret": {"name": "keys"}},
    "gateway": {
        "autoscaling": {"enabled": True},
        "clientLimits": {
            "requestsPerMinute": 600,
            "tokensPerMinute": 100_000_000,
            "concurrentRequests": 50,
        },
        "origins": "https://chat.example.com,https://*.example.org",
        "ingress": {"enabled": True, "hosts": ["sizeup.example.com"]},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    },
    "huggingface": {
        "endpoint": "https://hub.example.com:8443",
        "existingSecret": {"name": "hub"},
        "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3128"},
        "caConfigMap": {"name": "authority"},
    },
    "mirror": {"enabled": True, "existingClaim": "hub", "folder": "/hub"},
    "monitoring": {
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
    "loadtest": {"enabled": True},
}
"""Values that render every kind of object of the chart."""

MEASURED: Json = {
    "enabled": True,
    "config": {
        "models": [{"name": "qwen:0.5b", "price_per_hour": 0.6}, "qwen:7b"],
        "load": {"stage_seconds": 30, "closed": [64, 256]},
    },
    "existingClaim": "runs",
}
"""A load test with its own config and volume."""

EXTENDED: Json = {
    "models": {"small": EVERYTHING["models"]["small"]},
    "auth": {"allowAnonymous": True},
    "gateway": {
        "podLabels": {"team": "search"},
        "serviceAccount": {"annotations": {"cloud": "gateway"}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "rack",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "gateway"}},
            }
        ],
        "service": {
            "type": "LoadBalancer",
            "nodePort": 30434,
            "loadBalancerClass": "example.com/internal",
            "loadBalancerSourceRanges": ["10.0.0.0/8", "fd00::/8"],
            "externalTrafficPolicy": "Local",
        },
    },
    "inference": {
        "podLabels": {"team": "models"},
        "serviceAccount": {"annotations": {"cloud": "inference"}},
        "extraVolumes": [{"name": "more", "configMap": {"name": "more"}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more", "readOnly": True}],
    },
    "modelCache": {
        "download": {
            "podAnnotations": {"sidecar.istio.io/inject": "false"},
            "serviceAccount": {"annotations": {"cloud": "download"}},
        }
    },
    "loadtest": {"enabled": True, "podAnnotations": {"sidecar.istio.io/inject": "false"}},
}
"""Values that add labels, annotations, volumes and so on to the chart's objects."""

SINGLE_NODE: Json = {"modelCache": {"accessModes": ["ReadWriteOnce"]}}
"""A cache volume that attaches to one node."""
PER_MODEL: Json = {"modelCache": {"accessModes": ["ReadWriteOnce"], "mode": "perModel", "size": ""}}
"""One such volume per model."""

SCALED: Json = {
    "models": {
        "several": {"id": "Qwen/Qwen1.5-0.5B-Chat", "profile": "cpu", "replicas": 3},
        "ours": {
            "id": "Qwen/Qwen1.5-1.8B-Chat",
            "profile": "gpu-24g",
            "maxModelLen": 2048,
            "autoscaling": {"minReplicas": 2, "maxReplicas": 4},
        },
        "foreign": {
            "id": "Qwen/Qwen1.5-4B-Chat",
            "profile": "gpu-24g",
            "maxModelLen": 2048,
            "replicas": None,
        },
        "sleeping": {
            "id": "Qwen/Qwen1.5-7B-Chat",
            "profile": "gpu-48g",
            "maxModelLen": 2048,
            "replicas": 4,
            "scaleToZero": {"enabled": True},
        },
        "both": {
            "id": "Qwen/Qwen1.5-14B-Chat",
            "profile": "gpu-48g",
            "maxModelLen": 2048,
            "autoscaling": {"maxReplicas": 3, "targetRequests": 2.5},
            "scaleToZero": {"enabled": True, "keepAlive": "90s"},
        },
    },
    "profiles": {"gpu-24g": {"hourlyCost": 1.5}, "gpu-48g": {"hourlyCost": 2}},
}
"""Models whose replicas are set by the values, the gateway, others, and scale to zero."""

VARIANTS: dict[str, Json] = {
    **{name: yaml.safe_load((CHART / "values" / f"{name}.yaml").read_text()) for name in VALUES},
    "nothing": {},
    "everything": EVERYTHING,
    "ephemeral": {**EVERYTHING, "modelCache": {"mode": "ephemeral"}},
    "measured": {**EVERYTHING, "auth": {}, "gateway": {}, "loadtest": MEASURED},
    "extended": EXTENDED,
    "traced": {**EVERYTHING, "tracing": {"endpoint": "http://collector.observability:4318"}},
    "scaled": SCALED,
    "per-model": {**EVERYTHING, "modelCache": {"mode": "perModel"}},
    "prefetch": {
        **EVERYTHING,
        "modelCache": {"prefetch": [{"id": "Qwen/Qwen2.5-7B-Instruct", "revision": "v2"}]},
    },
}
"""Values for tests of properties that must hold for all of them."""


class RenderError(Exception):
    """Helm failed; the message is its stderr."""


def render(
    values: Mapping[str, Any],
    release: str = "sizeup",
    chart: Path = CHART,
    kube_version: str | None = None,
) -> list[Json]:
    """Return the objects, rendered for a version of Kubernetes; raises RenderError."""
    text = json.dumps(values, sort_keys=True)
    return [json.loads(one) for one in _rendered(text, release, chart, kube_version)]


@cache
def _rendered(values: str, release: str, chart: Path, version: str | None) -> tuple[str, ...]:
    command = [str(HELM), "template", release, str(chart), "--namespace", "models", "--values", "-"]
    command += [f"--kube-version={version}"] if version else []
    done = subprocess.run(command, input=values, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RenderError(done.stderr)
    return tuple(json.dumps(one) for one in yaml.load_all(done.stdout, yaml.CSafeLoader) if one)


def notes(values: Mapping[str, Any], folder: Path) -> str:
    """Return the rendered NOTES.txt.

    folder: where a copy of the chart is written.
    """
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    shown = 'notes: {{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}\n'
    (chart / "templates" / "shown.yaml").write_text(shown)
    return next(str(one["notes"]) for one in render(values, chart=chart) if "notes" in one)


def upgraded(values: Mapping[str, Any], live: Mapping[str, Json], folder: Path) -> list[Json]:
    """Return the objects of an upgrade, with `live` as the objects in the cluster by name.

    folder: where a copy of the chart is written.
    """
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    found = f"get (fromJson `{json.dumps(live)}`) (index . 2) | default dict | toJson"
    (chart / "templates" / "_lookup.tpl").write_text(
        f'{{{{- define "sizeup.lookup" -}}}}{{{{ {found} }}}}{{{{- end }}}}'
    )
    return render(values, chart=chart)


def merge(values: Mapping[str, Any], more: Mapping[str, Any]) -> Json:
    """Merge values as helm merges values files; `more` takes precedence."""
    merged = dict(values)
    for key, value in more.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def of_kind(objects: Iterable[Json], *kinds: str) -> list[Json]:
    """Return the objects of the given kinds."""
    return [one for one in objects if one["kind"] in kinds]


def named(objects: Iterable[Json], kind: str, name: str) -> Json:
    """Return the object with this kind and name; there must be exactly one."""
    (found,) = [one for one in of_kind(objects, kind) if one["metadata"]["name"] == name]
    return found


def identity(one: Json) -> tuple[str, str]:
    """Return kind and name."""
    return one["kind"], one["metadata"]["name"]


def pod_of(one: Json) -> Json | None:
    """Return the pod or pod template (metadata and spec) of an object, if it has one."""
    if one["kind"] == "Pod":
        return one
    return one["spec"].get("template") if one["kind"] in ("Deployment", "Job") else None


def pods(objects: Iterable[Json]) -> Iterator[tuple[str, Json]]:
    """Yield every pod or pod template with "Kind/name" of its object."""
    for one in objects:
        if pod := pod_of(one):
            yield "/".join(identity(one)), pod


def containers(pod: Json) -> list[Json]:
    """Return all containers of a pod, init containers first."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment(container: Json) -> dict[str, Any]:
    """Return the environment variables of a container: value, or valueFrom."""
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container.get("env", [])}
