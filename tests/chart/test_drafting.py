"""A smaller model that drafts for a larger one, in the larger one's pods."""

from typing import Any

import pytest

from chart.rendering import Json, RenderError, containers, environment, merge, named, render

LADDER: Json = {
    "models": {
        "large": {
            "id": "Qwen/Qwen1.5-7B-Chat",
            "profile": "gpu-24g",
            "maxModelLen": 4096,
            "draft": "small",
        },
        "small": {"id": "Qwen/Qwen1.5-0.5B-Chat", "revision": "abc", "profile": "cpu"},
    }
}


def with_models(**models: Any) -> Json:
    return merge(LADDER, {"models": models})


def test_the_pod_and_its_init_container_know_the_draft_model() -> None:
    objects = render(LADDER)
    pod = named(objects, "Deployment", "sizeup-large")["spec"]["template"]
    for container in containers(pod):
        variables = environment(container)
        assert variables["SIZEUP_INFERENCE_MODEL"] == "Qwen/Qwen1.5-7B-Chat"
        assert variables["SIZEUP_INFERENCE_DRAFT_MODEL"] == "Qwen/Qwen1.5-0.5B-Chat"
        assert variables["SIZEUP_INFERENCE_DRAFT_REVISION"] == "abc"
    own = named(objects, "Deployment", "sizeup-small")["spec"]["template"]
    for container in containers(own):
        assert "SIZEUP_INFERENCE_DRAFT_MODEL" not in environment(container)


def test_its_weights_and_kv_cache_are_part_of_what_fits() -> None:
    fits = {"profile": "gpu-24g", "maxModelLen": 4096}
    alone = {"models": {"large": {"id": "Qwen/Qwen1.5-7B-Chat", **fits}}, "fit": {"concurrency": 3}}
    assert render(alone)
    with pytest.raises(RenderError) as error:
        render({**LADDER, "fit": {"concurrency": 3}})
    # 0.62e9 x 2 bytes; 3 sequences x 4096 tokens x 2 x (32 x 32 x 128 + 24 x 16 x 64) x 2 bytes
    for figure in ("draft model 1.2 GiB", "KV cache 7.1 GiB"):
        assert figure in str(error.value)


def test_a_cpu_shares_its_kv_cache_between_both_models() -> None:
    sizes = []
    for draft in ({}, {"draft": "small"}):
        large = {"id": "Qwen/Qwen1.5-1.8B-Chat", "profile": "cpu", "maxModelLen": 256, **draft}
        models = {"large": large, "small": LADDER["models"]["small"]}
        pod = named(render({"models": models}), "Deployment", "sizeup-large")["spec"]["template"]
        size = environment(containers(pod)[-1])["SIZEUP_INFERENCE_KV_CACHE_BYTES"]
        sizes.append(int(size))
    assert sizes[0] - sizes[1] == pytest.approx(0.6 * 2 * 620e6, rel=0.01)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (with_models(large={"draft": "absent"}), "models.large.draft"),
        (with_models(large={"draft": "large"}), "for itself"),
        (with_models(small={"enabled": False}), "enabled model"),
        (with_models(small={"engine": "fake"}), "engine transformers"),
        (with_models(large={"engine": "fake"}), "engine transformers"),
        ({**LADDER, "modelCache": {"mode": "perModel", "size": ""}}, "mode=shared"),
        ({**LADDER, "modelCache": {"mode": "ephemeral"}}, "mode=shared"),
        (with_models(large={"draft": "Not a key"}), "draft"),
        (with_models(large={"profile": "gpu-24g:2"}), "several GPUs"),
    ],
)
def test_what_cannot_draft_is_rejected(values: Json, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        render(values)
