"""Volumes of the operator's as the cache: static binding, folders of a volume, NFS, read-only."""

from pathlib import Path

import pytest

from chart.rendering import (
    EVERYTHING,
    Json,
    RenderError,
    containers,
    merge,
    named,
    notes,
    of_kind,
    pods,
    render,
)
from chart.validation import KUBERNETES, validate

READ_ONLY: Json = {
    "existingClaim": "weights",
    "accessModes": ["ReadOnlyMany"],
    "download": {"enabled": False},
}
NFS: Json = {"nfs": {"server": "nfs.example.com", "path": "/exports/models"}}


def with_cache(cache: Json) -> Json:
    return merge(EVERYTHING, {"modelCache": cache})


def volumes(values: Json) -> dict[str, Json]:
    """Return the cache volume of every pod that has one, by object."""
    return {
        name: volume
        for name, pod in pods(render(values))
        for volume in pod["spec"]["volumes"]
        if volume["name"] == "models" and "hub" not in str(volume)
    }


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize(
    "cache",
    [
        READ_ONLY,
        NFS,
        {"subPath": "qwen/cache"},
        {"volumeName": "weights", "storageClass": "-", "annotations": {"a": "b"}},
        {"mode": "perModel", "labels": {"a": "b"}, "annotations": {"a": "b"}},
    ],
)
def test_objects_are_valid(cache: Json, version: str) -> None:
    for one in render(with_cache(cache)):
        validate(one, version)


def test_claims_are_annotated_and_labelled() -> None:
    prune = {"argocd.argoproj.io/sync-options": "Prune=false"}
    cache = {"mode": "perModel", "annotations": prune, "labels": {"backup": "none"}}
    claims = of_kind(render(with_cache(cache)), "PersistentVolumeClaim")
    assert len(claims) == 3
    for claim in claims:
        metadata = claim["metadata"]
        assert metadata["annotations"] == {"helm.sh/resource-policy": "keep", **prune}
        assert metadata["labels"]["backup"] == "none"
    (one, *_) = of_kind(render(with_cache({**cache, "keep": False})), "PersistentVolumeClaim")
    assert one["metadata"]["annotations"] == prune


def test_a_claim_binds_a_volume() -> None:
    values = with_cache({"volumeName": "weights", "storageClass": "-"})
    spec = named(render(values), "PersistentVolumeClaim", "sizeup-cache")["spec"]
    assert (spec["volumeName"], spec["storageClassName"]) == ("weights", "")


def test_every_mount_of_the_cache_is_of_the_folder() -> None:
    found = [
        mount.get("subPath")
        for _, pod in pods(render(with_cache({"subPath": "qwen/cache"})))
        for container in containers(pod)
        for mount in container["volumeMounts"]
        if mount["mountPath"] == "/models"
    ]
    assert found
    assert set(found) == {"qwen/cache"}


@pytest.mark.parametrize("path", ["/absolute", "../out", "a/../../b"])
def test_a_folder_is_within_the_volume(path: str) -> None:
    with pytest.raises(RenderError, match="subPath"):
        render(with_cache({"subPath": path}))


def test_nfs_is_mounted_read_only_but_for_downloads() -> None:
    found = volumes(with_cache(NFS))
    assert len(found) == 6
    for name, volume in found.items():
        assert volume["nfs"] == {**NFS["nfs"], "readOnly": name.startswith("Deployment/")}
    objects = render(with_cache(NFS))
    assert of_kind(objects, "PersistentVolumeClaim") == []
    assert "sizeup.dev/disk" not in str(objects)


@pytest.mark.parametrize(
    ("cache", "claimed"), [({}, True), (NFS, False), ({"existingClaim": "weights"}, False)]
)
def test_notes_mention_claims_of_the_chart_only(
    cache: Json, tmp_path: Path, *, claimed: bool
) -> None:
    assert ("delete pvc" in notes(with_cache(cache), tmp_path)) == claimed


def test_a_read_only_claim_is_claimed_read_only_by_pods_on_any_node() -> None:
    claim = {"claimName": "weights", "readOnly": True}
    found = volumes(with_cache(READ_ONLY))
    assert {name.partition("/")[0] for name in found} == {"Deployment"}
    assert [volume["persistentVolumeClaim"] for volume in found.values()] == [claim] * 3
    assert "sizeup.dev/disk" not in str(render(with_cache(READ_ONLY)))


def test_a_writable_claim_is_not_claimed_read_only() -> None:
    both = with_cache({"accessModes": ["ReadWriteOnce", "ReadOnlyMany"]})
    for volume in volumes(both).values():
        assert volume["persistentVolumeClaim"] == {"claimName": "sizeup-cache"}
    assert "sizeup.dev/disk" in str(render(both))


@pytest.mark.parametrize(
    ("cache", "cure"),
    [
        ({"accessModes": ["ReadOnlyMany"]}, "download.enabled=false"),
        ({**NFS, "existingClaim": "weights"}, "existingClaim"),
        ({**NFS, "mode": "perModel"}, "mode=shared"),
        ({**NFS, "volumeName": "weights"}, "volumeName"),
        ({"volumeName": "weights", "mode": "perModel"}, "mode=shared"),
        ({"volumeName": "weights", "existingClaim": "weights"}, "existingClaim"),
    ],
)
def test_contradictions_are_rejected(cache: Json, cure: str) -> None:
    with pytest.raises(RenderError, match=cure):
        render(with_cache(cache))
