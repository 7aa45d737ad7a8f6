"""One Job per model writes the cache; all other pods mount it read-only."""

import json
from pathlib import Path
from typing import Any

import pytest

from chart.rendering import (
    EVERYTHING,
    VARIANTS,
    Json,
    RenderError,
    containers,
    environment,
    identity,
    merge,
    named,
    notes,
    of_kind,
    pods,
    render,
    upgraded,
)


def jobs(values: dict[str, Any]) -> dict[str, Json]:
    """Return the download Jobs by model."""
    found = of_kind(render(values), "Job")
    labels = [(one["metadata"]["labels"], one) for one in found]
    return {own["sizeup.dev/model"]: one for own, one in labels if "sizeup.dev/model" in own}


def pull(values: dict[str, Any], model: str = "middle") -> Json:
    """Return the container that downloads a model."""
    (container,) = containers(jobs(values)[model]["spec"]["template"])
    return container


def test_every_model_with_weights_has_a_job() -> None:
    assert jobs(EVERYTHING).keys() == {"small", "middle", "scaled"}
    for job in jobs(EVERYTHING).values():
        assert "annotations" not in job["metadata"]


def test_job_downloads_id_and_revision() -> None:
    container = pull(EVERYTHING)
    revision = "0123456789abcdef0123456789abcdef01234567"
    assert container["command"] == ["sizeup"]
    assert container["args"][:4] == ["pull", "Qwen/Qwen1.5-7B-Chat", "--revision", revision]
    assert environment(container)["HF_HUB_CACHE"] == "/models"


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_downloads_mount_the_cache_writable(variant: str) -> None:
    for name, pod in pods(render(VARIANTS[variant])):
        for container in containers(pod):
            for mount in container["volumeMounts"]:
                writable = mount["mountPath"] in ("/tmp", "/runs", "/dev/shm")
                if not writable and container["name"] != "pull":
                    assert mount.get("readOnly") is True, (name, mount)


@pytest.mark.parametrize("variant", VARIANTS)
def test_inference_reads_the_volume_of_its_job_offline(variant: str) -> None:
    objects = render(VARIANTS[variant])

    def claim(pod: Json) -> str | None:
        volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
        found = volumes.get("models", {}).get("persistentVolumeClaim", {}).get("claimName")
        return str(found) if found else None

    for one in of_kind(objects, "Deployment"):
        model = one["metadata"]["labels"].get("sizeup.dev/model")
        if model is None:
            continue
        serving = containers(one["spec"]["template"])[-1]
        assert environment(serving)["HF_HUB_OFFLINE"] == "1"
        if model in (downloads := jobs(VARIANTS[variant])):
            assert claim(one["spec"]["template"]) == claim(downloads[model]["spec"]["template"])


@pytest.mark.parametrize(
    "change",
    [
        {"models": {"middle": {"revision": "v2"}}},
        {"models": {"middle": {"id": "Qwen/Qwen1.5-7B"}}},
        {"models": {"middle": {"endpoint": "https://other.example.com"}}},
        {"huggingface": {"endpoint": "https://other.example.com"}},
        {"modelCache": {"download": {"image": {"tag": "0.2.0"}}}},
        {"huggingface": {"existingSecret": {"name": "other"}}},
    ],
)
def test_job_name_depends_on_the_spec(change: dict[str, Any]) -> None:
    before, after = jobs(EVERYTHING)["middle"], jobs(merge(EVERYTHING, change))["middle"]
    assert before["metadata"]["name"] != after["metadata"]["name"]


@pytest.mark.parametrize(
    "change",
    [
        {"models": {"middle": {"maxModelLen": 4096}}},
        {"models": {"middle": {"names": ["other:name"]}}},
        {"gateway": {"logLevel": "debug"}},
        {"models": {"more": {"id": "Qwen/Qwen2-0.5B"}}},
    ],
)
def test_unrelated_change_starts_no_download(change: dict[str, Any]) -> None:
    assert jobs(merge(EVERYTHING, change))["middle"] == jobs(EVERYTHING)["middle"]


def test_endpoint_precedence() -> None:
    def endpoint(values: dict[str, Any], **model: Any) -> str | None:
        models = {"middle": {"id": "Qwen/Qwen1.5-0.5B-Chat", **model}}
        found = environment(pull({**values, "models": models})).get("HF_ENDPOINT")
        return str(found) if found else None

    mirror = {"mirror": {"enabled": True}}
    hub = {"huggingface": {"endpoint": "https://hub.example.com"}}
    assert endpoint({}) is None
    assert endpoint(mirror) == "http://sizeup-mirror:8090"
    assert endpoint({**mirror, **hub}) == "https://hub.example.com"
    assert (
        endpoint({**mirror, **hub}, endpoint="https://own.example.com") == "https://own.example.com"
    )


def test_download_gets_token_proxy_and_ca() -> None:
    variables = environment(pull(EVERYTHING))
    assert variables["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "token"}}
    assert variables["HTTP_PROXY"] == variables["HTTPS_PROXY"] == "http://proxy:3128"
    assert variables["NO_PROXY"] == "sizeup-mirror"
    assert variables["SIZEUP_CA_FILE"] == "/etc/sizeup-ca/ca.crt"
    mounted = {mount["mountPath"] for mount in pull(EVERYTHING)["volumeMounts"]}
    assert "/etc/sizeup-ca" in mounted


def claims(values: dict[str, Any]) -> dict[str, Json]:
    """Return the claims by name."""
    found = of_kind(render(values), "PersistentVolumeClaim")
    return {one["metadata"]["name"]: one for one in found}


def size(claim: Json) -> str:
    """Return the requested storage of a claim."""
    return str(claim["spec"]["resources"]["requests"]["storage"])


def test_shared_cache_is_sized_for_all_weights() -> None:
    ((name, claim),) = claims(EVERYTHING).items()
    assert name == "sizeup-cache"
    weights = (620_000_000 + 7_720_000_000 + 72_300_000_000) * 2
    assert size(claim) == f"{-(-weights * 12 // 10 // 2**30)}Gi"
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "storageClassName" not in claim["spec"]


def test_cache_per_model_is_sized_for_its_model() -> None:
    sizes = {name: size(claim) for name, claim in claims(VARIANTS["per-model"]).items()}
    assert sizes == {
        "sizeup-cache-small": "2Gi",
        "sizeup-cache-middle": "18Gi",
        "sizeup-cache-scaled": "162Gi",
    }


def test_storage_values() -> None:
    cache = {
        "size": "200Gi",
        "storageClass": "fast",
        "accessModes": ["ReadWriteOnce"],
        "keep": False,
    }
    (claim,) = claims({**EVERYTHING, "modelCache": cache}).values()
    assert (size(claim), claim["spec"]["storageClassName"]) == ("200Gi", "fast")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "annotations" not in claim["metadata"]
    each = claims({**EVERYTHING, "modelCache": {**cache, "mode": "perModel"}}).values()
    assert {size(claim) for claim in each} == {"200Gi"}, "size is per volume"
    (static,) = claims({**EVERYTHING, "modelCache": {"storageClass": "-"}}).values()
    assert static["spec"]["storageClassName"] == ""


def test_existing_claim_is_used() -> None:
    cache = {"existingClaim": "filled", "download": {"enabled": False}}
    values = {**EVERYTHING, "modelCache": cache}
    objects = render(values)
    assert (of_kind(objects, "PersistentVolumeClaim"), jobs(values)) == ([], {})
    serving = named(objects, "Deployment", "sizeup-middle")
    volumes = {v["name"]: v for v in serving["spec"]["template"]["spec"]["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == "filled"


def test_ephemeral_cache_downloads_in_an_init_container() -> None:
    objects = render(VARIANTS["ephemeral"])
    assert (of_kind(objects, "PersistentVolumeClaim"), jobs(VARIANTS["ephemeral"])) == ([], {})
    spec = named(objects, "Deployment", "sizeup-middle")["spec"]["template"]["spec"]
    assert [c["name"] for c in spec["initContainers"]] == ["pull"]
    volumes = {v["name"]: v for v in spec["volumes"]}
    assert volumes["models"]["emptyDir"] == {"sizeLimit": "18Gi"}


def live(size: str) -> dict[str, Json]:
    """Return the claim as an existing object in the cluster."""
    return {"sizeup-cache": {"spec": {"resources": {"requests": {"storage": size}}}}}


def test_existing_claim_keeps_its_size(tmp_path: Path) -> None:
    objects = upgraded(EVERYTHING, live("170Gi"), tmp_path)
    (claim,) = of_kind(objects, "PersistentVolumeClaim")
    assert size(claim) == "170Gi"


def test_undersized_claim_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RenderError) as error:
        upgraded(EVERYTHING, live("100Gi"), tmp_path / "full")
    for part in ("sizeup-cache", "100.0 GiB", "150.2 GiB", "modelCache.size=181Gi"):
        assert part in str(error.value)
    larger = {**EVERYTHING, "modelCache": {"size": "181Gi"}}
    (claim,) = of_kind(upgraded(larger, live("100Gi"), tmp_path / "grown"), "PersistentVolumeClaim")
    assert size(claim) == "181Gi"


def test_undersized_claim_can_be_a_warning(tmp_path: Path) -> None:
    values = {**EVERYTHING, "modelCache": {"size": "9Gi"}, "fit": {"onFailure": "warn"}}
    assert "WARNING: volume sizeup-cache has 9Gi" in notes(values, tmp_path)


@pytest.mark.parametrize(
    "cache",
    [
        {"mode": "perModel", "existingClaim": "filled"},
        {"mode": "ephemeral", "download": {"enabled": False}},
    ],
)
def test_contradicting_values_are_rejected(cache: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match="modelCache"):
        render({"modelCache": cache})


def test_fake_engine_needs_no_weights() -> None:
    objects = render({"models": {"fake": EVERYTHING["models"]["fake"]}})
    assert of_kind(objects, "PersistentVolumeClaim", "Job") == []
    fake = named(objects, "Deployment", "sizeup-fake")["spec"]["template"]["spec"]
    assert "initContainers" not in fake
    assert "models" not in json.dumps([v["name"] for v in fake["volumes"]])


def test_mirror_serves_its_image_or_a_volume() -> None:
    own = named(render({"mirror": {"enabled": True}}), "Deployment", "sizeup-mirror")
    (container,) = own["spec"]["template"]["spec"]["containers"]
    assert container["args"][:2] == ["mirror", "/toys"]
    mounted = named(render(EVERYTHING), "Deployment", "sizeup-mirror")
    (container,) = mounted["spec"]["template"]["spec"]["containers"]
    assert {"name": "models", "mountPath": "/hub", "readOnly": True} in container["volumeMounts"]


def test_mirror_is_opt_in() -> None:
    assert [name for _, name in map(identity, render(VARIANTS["gpu"])) if "mirror" in name] == []
