"""Excerpts of the metrics of servers."""

import pytest

from sizeup_loadtest.analysis.stages import prometheus

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
vllm:num_requests_running{engine="0",model_name="other"} 9.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.5
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 12.0
"""
NAMES = {
    "running": "vllm:num_requests_running",
    "queue": "vllm:num_requests_waiting",
    "kv_usage": "vllm:kv_cache_usage_perc",
}


def test_vllm_is_read_by_model_over_its_engines() -> None:
    found = prometheus.read(VLLM, "m")
    assert found == {
        "running": (NAMES["running"], 7.0),
        "queue": (NAMES["queue"], 2.0),
        "kv_usage": (NAMES["kv_usage"], 0.5),
    }


def test_a_server_of_one_model_may_call_it_otherwise() -> None:
    assert prometheus.read(VLLM.replace(b'"m"', b'"/models/m"'), "alias")["queue"][1] == 2.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'vllm:gpu_cache_usage_perc{model_name="m"} 0.75\n', {"kv_usage": 0.75}),
        (b'sglang:num_queue_reqs{model_name="m"} 5\nsglang:token_usage 0.1\n', None),
        (b"tgi_queue_size 5\ntgi_batch_current_size 8\n", {"queue": 5.0, "running": 8.0}),
        (b"llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n", None),
        (
            b'sizeup_inference_requests_waiting{model="m"} 2\n'
            b'sizeup_inference_kv_cache_pages_used{model="m"} 30\n'
            b'sizeup_inference_kv_cache_pages_total{model="m"} 40\n',
            {"queue": 2.0, "kv_usage": 0.75},
        ),
        (b'sizeup_inference_kv_cache_pages_used{model="m"} 30\n', {}),
        (b'sizeup_gateway_requests_in_flight{model="m"} 6\n', {"running": 6.0}),
        (b"tgi_queue_size NaN\n", {}),
        (b"tgi_queue_size many\n", {}),
        (b"go_goroutines 4\n", {}),
        (b"<html>login</html>", {}),
        (b"", {}),
    ],
)
def test_servers_are_known(text: bytes, expected: dict[str, float] | None) -> None:
    found = {kind: value for kind, (_, value) in prometheus.read(text, "m").items()}
    if expected is None:
        assert len(found) == 2
    else:
        assert found == expected


def test_a_summary_has_means_and_maxima() -> None:
    samples = [{"queue": (NAMES["queue"], value)} for value in (1.0, 2.0, 6.0)]
    found = prometheus.summary([*samples, {}])
    assert found is not None
    assert found.queue is not None
    assert (found.queue.mean, found.queue.max) == (3.0, 6.0)
    assert (found.running, found.kv_usage) == (None, None)
    assert found.sources == {"queue": NAMES["queue"]}
    assert prometheus.summary([{}]) is None
