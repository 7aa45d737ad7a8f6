"""The load test's results.json, as the gateway reads it."""

from loadtest.sample_results import results
from sizeup_gateway.models.report import parse_report


def test_the_gateway_reads_what_the_load_test_writes() -> None:
    written = results()
    measured = parse_report(written.model_dump_json().encode())
    assert list(measured) == [m.name for m in written.models if m.invalid_reason is None]
    for model in written.models:
        if model.invalid_reason is not None:
            continue
        found = measured[model.name]
        alone = min((s for s in model.stages if s.tok_s_user), key=lambda stage: stage.level)
        assert alone.tok_s_user is not None
        assert found.tokens_per_second == alone.tok_s_user.value
        assert alone.ttft is not None
        assert found.ttft_seconds == alone.ttft.p50
        assert found.at == written.started_at
        if model.ability is not None:
            overall = model.ability.overall
            assert (found.ability, found.ability_low) == (overall.value, overall.low)
        if model.capacity is not None:
            assert found.max_load == model.capacity.max_load
