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

    def apply(self, data: dict[str, Any]) -> None:
        """Change the parsed config; UsageError for the price of a model that it lacks."""
        speed, minutes = self.min_tokens_per_second, self.minutes
        for name, key, value in (
            ("limits", "budget_minutes", minutes),
            # Loading models takes its time too: the run ends anyway after three times as long.
            ("limits", "max_minutes", minutes and 3 * minutes),
            # A requirement is also the limit of the SLO.
            ("requirements", "tok_s_user", speed),
            ("requirements", "ttft_p50", self.max_ttft),
            ("requirements", "ability", self.min_ability),
            ("slo", "tpot_seconds", speed and 1 / speed),
            ("slo", "ttft_seconds", self.max_ttft),
        ):
            section = data.get(name, {})
            if value is not None and isinstance(section, dict):
                data[name] = {**section, key: value}
        models = data.get("models")
        if self.prices and isinstance(models, list):
            data["models"] = [_priced(model, self.prices) for model in models]
            known = {model.get("name") for model in data["models"] if isinstance(model, dict)}
            if unknown := sorted(self.prices.keys() - known):
                raise UsageError(f"--price: no model {', '.join(unknown)} in this run")


def prices(options: Sequence[str]) -> Mapping[str, float]:
    """Parse NAME=USD; names may have a `=` themselves."""
    result = {}
    for option in options:
        name, _, text = option.rpartition("=")
        try:
            result[name] = float(text if name else "")  # which is no number
        except ValueError:
            raise UsageError(f"--price {option}: NAME=USD is required, as qwen2.5:7b=1.2") from None
    return result


def _priced(model: object, prices: Mapping[str, float]) -> object:
    named = {"name": model} if isinstance(model, str) else model
    if isinstance(named, dict) and named.get("name") in prices:
        return {**named, "price_per_hour": prices[named["name"]]}
    return named
