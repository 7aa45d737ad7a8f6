"""Options of the command line that replace keys of the config."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sizeup_loadtest.errors import UsageError


@dataclass(frozen=True, slots=True)
class Overrides:
    """None leaves the config as it is."""

    minutes: float | None = None
    min_tokens_per_second: float | None = None
    max_ttft: float | None = None
    min_ability: float | None = None
    prices: Mapping[str, float] = field(default_factory=dict)

    def sections(self) -> Mapping[str, Mapping[str, float]]:
        """Return the keys to replace. A requirement is also the limit of the SLO."""
        speed, minutes = self.min_tokens_per_second, self.minutes
        given: Mapping[str, Mapping[str, float | None]] = {
            # Loading models takes its time too: the run ends anyway after three times as long.
            "limits": {
                "budget_minutes": minutes,
                "max_minutes": None if minutes is None else 3 * minutes,
            },
            "requirements": {
                "tok_s_user": speed,
                "ttft_p50": self.max_ttft,
                "ability": self.min_ability,
            },
            "slo": {
                "tpot_seconds": None if speed is None else 1 / speed,
                "ttft_seconds": self.max_ttft,
            },
        }
        return {
            name: {key: value for key, value in keys.items() if value is not None}
            for name, keys in given.items()
        }


def prices(options: Sequence[str]) -> Mapping[str, float]:
    """Parse NAME=USD; names may have a `=` themselves."""
    result = {}
    for option in options:
        name, _, text = option.rpartition("=")
        try:
            result[name] = float(text)
        except ValueError:
            raise UsageError(f"--price {option}: NAME=USD is required, as qwen2.5:7b=1.2") from None
        if not name:
            raise UsageError(f"--price {option}: NAME=USD is required, as qwen2.5:7b=1.2")
    return result


def apply(data: dict[str, Any], overrides: Overrides) -> None:
    """Change the parsed config; UsageError for the price of a model that it lacks."""
    for name, keys in overrides.sections().items():
        section = data.get(name, {})
        if keys and isinstance(section, dict):
            data[name] = {**section, **keys}
    if overrides.prices and isinstance(data.get("models"), list):
        data["models"] = _priced(data["models"], overrides.prices)


def _priced(models: Sequence[object], prices: Mapping[str, float]) -> list[object]:
    named = [{"name": model} if isinstance(model, str) else model for model in models]
    priced = [
        {**model, "price_per_hour": prices[model["name"]]}
        if isinstance(model, dict) and model.get("name") in prices
        else model
        for model in named
    ]
    known = [model.get("name") for model in named if isinstance(model, dict)]
    if unknown := sorted(prices.keys() - known):
        raise UsageError(f"--price: no model {', '.join(unknown)} in this run")
    return priced
