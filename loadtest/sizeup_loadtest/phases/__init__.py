"""The parts of a run: a module in this package offers a PHASE, a FINISHER, or both."""

from collections.abc import Collection, Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from sizeup_loadtest.execution.run import Finisher, Phase


def find(names: Collection[str] | None = None) -> list[Phase]:
    """Return the phases of these names, or all of them, in the order they run."""
    offered: list[Phase] = [m.PHASE for m in _modules() if hasattr(m, "PHASE")]
    chosen = [phase for phase in offered if names is None or phase.name in names]
    return sorted(chosen, key=lambda phase: phase.order)


def finishers() -> list[Finisher]:
    """Return everything that is made from results."""
    return [m.FINISHER for m in _modules() if hasattr(m, "FINISHER")]


def _modules() -> Iterator[ModuleType]:
    for module in iter_modules(__path__):
        yield import_module(f"{__name__}.{module.name}")
