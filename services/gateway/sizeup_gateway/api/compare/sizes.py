"""Models -> the entries of GET /api/sizes. Pure."""

from collections.abc import Mapping

from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.families import family_of, parameters_of
from sizeup_gateway.models.report import Measured
from sizeup_gateway.responses.framing import Json


def to_size(model: Model, measured: Measured | None) -> Json:
    info, price = model.info, model.entry.price
    return {
        "model": model.listed_name,
        "family": family_of(model),
        "parameters": parameters_of(model),
        "state": model.state,
        "progress": model.progress,
        "context_length": None if info is None else info.context_length,
        "capabilities": [] if info is None else list(info.capabilities),
        "price": None
        if price is None
        else {"per_hour": price.per_hour, "currency": price.currency},
        "measured": None if measured is None else measured.model_dump(mode="json"),
    }


def measured_of(model: Model, report: Mapping[str, Measured]) -> Measured | None:
    """Return what the load test measured, under any name of the model."""
    names = (*model.entry.names, model.listed_name, model.entry.id, model.key)
    return next((report[name] for name in names if name in report), None)
