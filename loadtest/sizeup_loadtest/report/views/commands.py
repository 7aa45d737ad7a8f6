"""The command that would measure what a run did not. Pure."""

import shlex
from collections.abc import Mapping

from sizeup_loadtest.config.file import scenarios
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.views.blocks import Missing

STOPPED = "the run was stopped before"


def missing(results: Results, phase: str) -> Missing:
    """Return why a phase has no results: speed, capacity or ability."""
    enabled = phase == "speed" or results.config_section(phase).get("enabled")
    reason = "not enabled in this run"
    if enabled:
        reason = "no request was answered" if results.validity.complete else STOPPED
    return Missing(phase, reason, command(results, phase))


def all_missing(results: Results) -> tuple[Missing, ...]:
    """Return every phase without any result, and prices where none is set."""
    measured: Mapping[str, object] = {
        "speed": any(m.stages for m in results.models),
        "capacity": any(m.capacity for m in results.models),
        "ability": any(m.ability for m in results.models),
    }
    found = [missing(results, phase) for phase, any_result in measured.items() if not any_result]
    if not any(m.cost for m in results.models):
        found.append(Missing("cost", "set models[].price_per_hour in the config"))
    return tuple(found)


def command(results: Results, phase: str) -> str:
    """Return the command that measures a phase of the same models."""
    parts = ["sizeup-bench", "run", "--only", phase]
    known = results.scenario in scenarios()
    if results.scenario:
        parts += ["--scenario", results.scenario if known else f"{results.scenario}.yaml"]
    if known or not _have_own_servers(results.config):
        parts += ["--url", results.target.replace(", ", ",")]
    names = ",".join(model.name for model in results.models)
    return shlex.join([*parts, "--models", names])


def _have_own_servers(config: Mapping[str, object]) -> bool:
    """Whether a config file gives models URLs, which --url would replace."""
    models = config.get("models")
    listed = models if isinstance(models, list | tuple) else ()
    return any(isinstance(model, Mapping) and model.get("url") for model in listed)
