"""How long reading a server's metrics holds up the load test's event loop, for a large server."""

from time import perf_counter

from sizeup_loadtest.analysis.stages import prometheus

MODELS, BUCKETS, ROUNDS = 20, 300, 50


def body() -> bytes:
    """Return metrics of vLLM's shape: three gauges a model, and histograms that nobody reads."""
    lines = []
    for model in (f"m{i}" for i in range(MODELS)):
        labels = f'engine="0",model_name="{model}"'
        lines += [f"vllm:num_requests_running{{{labels}}} 3.0"]
        lines += [f"vllm:num_requests_waiting{{{labels}}} 2.0"]
        lines += [f"vllm:kv_cache_usage_perc{{{labels}}} 0.5"]
        lines += [
            f'vllm:e2e_request_latency_seconds_bucket{{{labels},le="{i / 10}"}} {i}'
            for i in range(BUCKETS)
        ]
    return "\n".join(lines).encode()


def main() -> None:
    text = body()
    began = perf_counter()
    for _ in range(ROUNDS):
        prometheus.read(text, "m7")
    each = (perf_counter() - began) / ROUNDS
    print(f"{len(text) / 1000:.0f} kB of metrics: {each * 1000:.1f} ms")


if __name__ == "__main__":
    main()
