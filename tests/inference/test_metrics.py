from prometheus_client import CollectorRegistry, generate_latest

from sizeup_inference.engine.protocol import EngineStats
from sizeup_inference.fake.model import start_fake
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.settings import Settings
from sizeup_wire.model import FastPath

STATS = EngineStats(
    running=1,
    waiting=2,
    pages_used=3,
    pages_total=4,
    steps=5,
    prompt_tokens=6,
    completion_tokens=7,
    prefix_cache_queries=8,
    prefix_cache_hits=9,
    preemptions=10,
    last_batch_size=11,
    last_step_seconds=0.5,
    draft_tokens=12,
    draft_accepted_tokens=13,
    draft_length=14,
)


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"sizeup_inference_{name}", {"model": "m"} | labels)


def test_engine_statistics_are_read_at_the_scrape() -> None:
    registry = CollectorRegistry()
    InferenceMetrics(registry, "m").watch(lambda: STATS)
    names = (
        "requests_running",
        "requests_waiting",
        "kv_cache_pages_used",
        "kv_cache_pages_total",
        "engine_steps_total",
    )
    assert [sample(registry, name) for name in names] == [1, 2, 3, 4, 5]
    counters = (
        "prompt_tokens_total",
        "completion_tokens_total",
        "prefix_cache_queries_total",
        "prefix_cache_hits_total",
        "preemptions_total",
        "draft_tokens_total",
        "draft_accepted_tokens_total",
    )
    assert [sample(registry, name) for name in counters] == [6, 7, 8, 9, 10, 12, 13]
    assert sample(registry, "draft_length") == 14
    assert sample(registry, "last_step_duration_seconds") == 0.5


def test_only_steps_with_tokens_have_a_batch_size() -> None:
    registry = CollectorRegistry()
    metrics = InferenceMetrics(registry, "m")
    for tokens in (0, 3, 0, 5):
        metrics.on_step(tokens)
    assert sample(registry, "batch_size_count") == 2
    assert sample(registry, "batch_size_sum") == 8


def ignore(*_: object) -> None:
    """Take events or progress."""


def test_a_loaded_model_reports_its_kernels_and_time() -> None:
    registry = CollectorRegistry()
    paths = (FastPath(name="a", enabled=True), FastPath(name="b", enabled=False, reason="slow"))
    info = start_fake(Settings(model="m", engine="fake"), ignore, ignore).info
    info = info.model_copy(update={"kernels": "amx", "fast_paths": paths})
    InferenceMetrics(registry, "m").loaded(info, 2.5)
    assert sample(registry, "kernels_info", kernels="amx") == 1
    assert [sample(registry, "fast_path_enabled", path=path) for path in "ab"] == [1, 0]
    assert sample(registry, "model_load_duration_seconds") == 2.5


def test_outcomes_are_counted_per_model() -> None:
    registry = CollectorRegistry()
    metrics = InferenceMetrics(registry, "m")
    metrics.count("ok")
    metrics.count("busy")
    metrics.count("ok")
    assert sample(registry, "requests_total", outcome="ok") == 2
    assert sample(registry, "requests_total", outcome="busy") == 1


def test_the_exposition_has_the_histograms() -> None:
    registry = CollectorRegistry()
    InferenceMetrics(registry, "m").watch(lambda: STATS)
    assert b"sizeup_inference_inter_token_latency_seconds_bucket" in generate_latest(registry)
