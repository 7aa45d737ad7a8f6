from pathlib import Path

import pytest

from sizeup_loadtest.config import file, overrides
from sizeup_loadtest.config.overrides import Overrides
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.errors import UsageError


def choose(**options: float) -> Config:
    return file.load("choose", models=["a", "b"], overrides=Overrides(**options))  # type: ignore[arg-type]


def test_requirements_are_limits_of_the_slo_too() -> None:
    config = choose(min_tokens_per_second=20, max_ttft=0.5, min_ability=0.7, minutes=3)
    required = config.requirements
    assert (required.tok_s_user, required.ttft_p50, required.ability) == (20, 0.5, 0.7)
    assert (config.slo.tpot_seconds, config.slo.ttft_seconds) == (0.05, 0.5)
    assert (config.limits.budget_minutes, config.limits.max_minutes) == (3, 9)


def test_without_options_people_read_ten_tokens_a_second() -> None:
    config = choose()
    required = config.requirements
    assert (required.tok_s_user, required.ttft_p50, required.ability) == (10, 1, None)
    assert (config.slo.tpot_seconds, config.slo.ttft_seconds) == (0.1, 1)
    assert config.limits.budget_minutes == 10


def test_prices_by_name() -> None:
    found = overrides.prices(["qwen2.5:7b=1.2", "a=b=0"])
    assert found == {"qwen2.5:7b": 1.2, "a=b": 0}
    config = file.load("choose", models=["a", "a=b"], overrides=Overrides(prices={"a=b": 3}))
    assert [model.price_per_hour for model in config.models] == [None, 3]


@pytest.mark.parametrize("option", ["a", "a=", "=1", "a=x"])
def test_an_incomplete_price_is_an_error(option: str) -> None:
    with pytest.raises(UsageError, match="--price"):
        overrides.prices([option])


def test_the_price_of_another_model_is_an_error() -> None:
    with pytest.raises(UsageError, match="no model c"):
        file.load("choose", models=["a"], overrides=Overrides(prices={"c": 3}))


@pytest.mark.parametrize("models", ["null", "plain", "3", "[3]"])
def test_models_of_another_type_are_a_problem_of_the_config(models: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"models: {models}\n")
    with pytest.raises(UsageError, match=r"models|price"):
        file.load(str(tmp_path / "a.yaml"), overrides=Overrides(prices={"a": 1}))
