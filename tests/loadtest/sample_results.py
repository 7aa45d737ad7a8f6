"""A consistent fictitious run: five models on one accelerator."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from sizeup_loadtest.analysis import cost, verdict
from sizeup_loadtest.analysis.intervals import mcnemar, wilson
from sizeup_loadtest.data.ability import AbilityKind, AbilityResult, SuiteScore
from sizeup_loadtest.data.results import (
    CapacityPoint,
    CapacityResult,
    Distribution,
    Estimate,
    Lag,
    LatencyBreakdown,
    ModelInfo,
    ModelResult,
    Paired,
    Requirements,
    Results,
    SampleOutputs,
    StageResult,
    Validity,
)

BANDWIDTH = 2.0e12
KINDS = ("arithmetic", "word problems", "state", "lists", "instructions", "json", "needle", "中文")


@dataclass(frozen=True)
class Size:
    """Parameters of a fictitious model."""

    name: str
    parameters: float
    layers: int
    ability: float
    price: float | None
    words: float
    """Output tokens until EOS."""

    @property
    def gap(self) -> float:
        """Seconds per token: per-layer overhead and weights read once."""
        return self.layers * 0.00018 + 1.3 * self.parameters * 2 / BANDWIDTH


SIZES = (
    Size("qwen2.5:0.5b", 0.494e9, 24, 0.31, 0.6, 71),
    Size("qwen2.5:1.5b", 1.54e9, 28, 0.48, 0.6, 84),
    Size("qwen2.5:3b", 3.09e9, 36, 0.60, 0.9, 92),
    Size("qwen2.5:7b", 7.62e9, 28, 0.74, 1.2, 101),
    Size("qwen2.5:14b", 14.8e9, 48, 0.83, 2.4, 118),
)


def estimate(value: float, spread: float = 0.03) -> Estimate:
    return Estimate(value=value, low=value * (1 - spread), high=value * (1 + spread))


def times(value: float, n: int = 80, spread: float = 0.03) -> Distribution:
    return Distribution(
        n=n,
        mean=estimate(value * 1.03, spread),
        p50=value,
        p90=value * 1.2,
        p95=value * 1.31 if n >= 72 else None,
        p99=None,
        low=value * 0.8,
        high=value * 1.6,
    )


def stage(size: Size, level: int, length: str = "fixed", api: str = "openai") -> StageResult:
    tokens = 128.0 if length == "fixed" else size.words
    crowd = 1 + 0.05 * level + 0.002 * level**2
    gap, first = size.gap * crowd, (0.03 + 3 * size.gap) * crowd
    whole = first + gap * (tokens - 1)
    good = round(80 * max(0.0, min(1.0, 2.4 - first / 0.5 - gap / 0.03)))
    split = LatencyBreakdown(
        load=times(0.0004), queue=times(0.004), prefill=times(first), decode=times(whole - first)
    )
    return StageResult(
        stage=f"closed-{level}-{length}",
        mode="closed",
        level=level,
        length="fixed" if length == "fixed" else "until_eos",
        api="ollama" if api == "ollama" else "openai",
        n=80,
        errors={},
        prompt_tokens=estimate(37),
        completion_tokens=estimate(tokens),
        counted_by="usage",
        ttft=times(first),
        ttft_sched=times(first * 1.01),
        itl=times(gap, 5000),
        tpot=times(gap),
        e2e=times(whole),
        e2e_sched=times(whole * 1.01),
        norm_latency=times(whole / tokens),
        tok_s_user=estimate(1 / gap),
        out_tok_s=estimate(level / gap * 0.93),
        requests_s=estimate(level / whole),
        goodput=estimate(level / whole * good / 80),
        attainment=wilson(good, 80),
        tokens_per_chunk=1.0,
        breakdown=split if length == "until_eos" else None,
    )


def capacity(size: Size) -> CapacityResult:
    points, max_load = [], None
    for level in (1, 2, 4, 8, 16, 32, 64):
        seen = stage(size, level)
        assert seen.ttft
        assert seen.tpot
        assert seen.attainment
        bent = min(level, 20.0) + max(0.0, level - 20) * 0.1
        points.append(
            CapacityPoint(
                level=level,
                attainment=seen.attainment,
                out_tok_s=bent / size.gap * 0.8,
                ttft_p50=seen.ttft.p50,
                ttft_p95=seen.ttft.p95,
                tpot_p50=seen.tpot.p50,
                saturated=level > 40,
            )
        )
        if seen.attainment.value >= 0.95:
            max_load = float(level)
    return CapacityResult(
        mode="closed",
        max_load=max_load,
        bounded_by_limit=max_load == 64,
        knee=18.0,
        effective_parallelism=17.1,
        points=tuple(points),
    )


def ability(size: Size) -> AbilityResult:
    kinds = []
    for place, kind in enumerate(KINDS):
        for level in (1, 2, 3, 4):
            share = min(0.99, max(0.02, size.ability + 0.32 - 0.16 * level + 0.03 * (place % 3)))
            kinds.append(
                AbilityKind(
                    kind=kind, level=level, score=wilson(round(share * 20), 20), unparsed=level // 3
                )
            )
    right = sum(k.score.successes for k in kinds)
    return AbilityResult(
        overall=wilson(right, 20 * len(kinds)),
        kinds=tuple(kinds),
        unparsed=sum(k.unparsed for k in kinds),
        truncated=3,
        errors=0,
        seconds_per_answer=estimate(size.words * size.gap),
        tokens_per_answer=estimate(size.words),
        correct_per_second=estimate(4 * right / (20 * len(kinds)) / (size.words * size.gap)),
    )


def model(size: Size) -> ModelResult:
    weights = size.parameters * 2
    made = ModelResult(
        name=size.name,
        model_info=ModelInfo(
            parameters=round(size.parameters),
            layers=size.layers,
            weight_bytes=round(weights),
            memory_bytes=round(weights * 1.2 + 6e8),
            device_bytes=round(weights * 1.2 + 6e8),
            dtype="bfloat16",
            context_length=32768,
            digest="sha256:" + "ab" * 32,
        ),
        load_seconds=1.5 + size.parameters / 1.1e9,
        load_source="server" if size.layers == 28 else "cold start",
        bound_tok_s=BANDWIDTH / weights,
        stages=tuple(
            stage(size, level, length)
            for length in ("fixed", "until_eos")
            for level in (1, 2, 4, 8)
        ),
        capacity=capacity(size),
        ability=ability(size),
        suites={"gsm8k": SuiteScore(value=size.ability + 0.1, stderr=0.012, n=1319)},
    )
    return made.model_copy(update={"cost": cost.estimate_cost(made, size.price)})


def pairs(sizes: Sequence[Size]) -> tuple[Paired, ...]:
    return tuple(
        Paired(
            a=a.name,
            b=b.name,
            stage="closed-1-fixed",
            tpot_ratio=estimate(b.gap / a.gap, 0.02),
            ttft_ratio=estimate(b.gap / a.gap * 0.9, 0.05),
            e2e_ratio=estimate(b.gap / a.gap * 1.01, 0.02),
            only_a_correct=14,
            only_b_correct=40,
            mcnemar_p=mcnemar(14, 40),
        )
        for a, b in combinations(sizes, 2)
    )


SAMPLES = (
    SampleOutputs(
        prompt="A train leaves at 14:25 and arrives at 17:10. How long is the journey?",
        outputs={
            s.name: f"From 14:25 to 17:10 is {2 if i > 1 else 3} hours and 45 minutes.\n\n"
            f"Answer: {2 if i > 1 else 3} h 45 min"
            for i, s in enumerate(SIZES)
        },
    ),
    SampleOutputs(
        prompt="用一句话解释为什么天空是蓝色的。",
        outputs={s.name: "因为空气分子对蓝光的散射比红光更强。" for s in SIZES},
    ),
)


BAR = Requirements(ability=0.6, tok_s_user=60)


def results(requirements: Requirements = BAR, sizes: Sequence[Size] = SIZES) -> Results:
    models = tuple(model(size) for size in sizes)
    return Results(
        tool_version="0.1.0",
        started_at="2026-11-20T09:30:00Z",
        seconds=1534,
        target="http://gateway:11434",
        scenario="size-sweep",
        config={
            "slo": {"ttft_seconds": 0.5, "tpot_seconds": 0.03, "attainment": 0.95},
            "limits": {
                "max_send_lag_seconds": 0.05,
                "max_loop_lag_seconds": 0.05,
                "max_error_share": 0.05,
            },
            "models": [{"name": s.name, "price_per_hour": s.price} for s in sizes],
        },
        schedule_hash="3f" * 32,
        environment={"python": "3.11.9", "platform": "Linux x86_64", "server": "sizeup 0.1.0"},
        models=models,
        paired=pairs(sizes),
        validity=Validity(
            valid=True,
            reasons=(),
            warnings=("3 planned requests were not sent: their time was over",),
            send_lag=None,
            loop_lag=Lag(n=15000, p50=0.0004, p99=0.0061, high=0.021),
            worst_stage="closed-8-fixed",
            worst_stage_lag=Lag(n=1500, p50=0.0005, p99=0.0083, high=0.021),
            error_share=0.0,
        ),
        verdict=verdict.decide(models, requirements),
        samples=SAMPLES,
    )


def empty() -> Results:
    """Return a run without measurements."""
    names = ("small", "large")
    models = tuple(ModelResult(name=name, model_info=ModelInfo()) for name in names)
    return results().model_copy(
        update={
            "models": models,
            "paired": (),
            "samples": (),
            "verdict": verdict.decide(models, Requirements(ability=0.5)),
            "config": {},
        }
    )


def invalid_model() -> Results:
    """Return a run whose smallest model is invalid."""
    run = results()
    first = run.models[0].model_copy(
        update={"invalid_reason": "60 of 80 requests failed (limit 5%)"}
    )
    models = (first, *run.models[1:])
    decided = verdict.decide(models, Requirements(ability=0.2))
    return run.model_copy(update={"models": models, "verdict": decided})


def invalid() -> Results:
    """Return an invalid run."""
    return results().model_copy(
        update={
            "validity": Validity(
                valid=False,
                reasons=("the client's event loop woke 0.31 s late (p99; allowed 0.05 s)",),
                warnings=(),
                send_lag=Lag(n=500, p50=0.1, p99=0.4, high=0.6),
                loop_lag=Lag(n=500, p50=0.1, p99=0.31, high=0.6),
                error_share=0.02,
            )
        }
    )


def stopped() -> Results:
    """Return a run that was stopped in its speed phase, of models whose sizes are not known."""
    run = results()
    models = tuple(m.model_copy(update={"capacity": None, "ability": None}) for m in run.models)
    validity = run.validity.model_copy(update={"complete": False, "share_done": 0.2})
    enabled = {name: {"enabled": True} for name in ("capacity", "ability")}
    return run.model_copy(
        update={
            "models": models,
            "ordered_by_size": False,
            "validity": validity,
            "config": {**run.config, **enabled},
            "verdict": verdict.decide(models, Requirements(tok_s_user=20), ordered_by_size=False),
        }
    )
