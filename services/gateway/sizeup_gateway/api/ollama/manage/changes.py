"""What /api/copy and /api/create make of the models that there are. Pure."""

from sizeup_gateway.api.ollama import schema, translate
from sizeup_gateway.api.ollama.manage import schema as manage_schema
from sizeup_gateway.errors import (
    GatewayError,
    InvalidRequestError,
    ModelNotFoundError,
    NotReadyError,
    OperatorModelError,
)
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.created import CreatedModel
from sizeup_gateway.models.selection import select
from sizeup_wire.errors import ErrorCode
from sizeup_wire.names import is_legal_name, listed_name, name_key


def copied(models: Models, body: manage_schema.CopyRequest, now: float) -> CreatedModel:
    """Return the copy of a model; raise GatewayError. `now` is Unix time."""
    for field in ("source", "destination"):
        name = getattr(body, field)
        if not is_legal_name(name):
            raise InvalidRequestError(f'{field} "{name[:128]}" is invalid', field)
    try:
        source = _source(models, body.source, now)
    except ModelNotFoundError:
        message = f'model "{body.source}" not found'
        raise GatewayError(ErrorCode.MODEL_NOT_FOUND, message, "source") from None
    return source.model_copy(update={"name": _free_name(models, body.destination)})


def created(models: Models, body: manage_schema.CreateRequest, now: float) -> CreatedModel:
    """Return the model that a request creates; raise GatewayError. `now` is Unix time."""
    if not is_legal_name(body.named):
        raise InvalidRequestError("invalid model name", "model")
    if not body.from_:
        raise InvalidRequestError("neither 'from' or 'files' was specified", "from")
    source = _source(models, body.from_, now)
    changes = {
        "name": _free_name(models, body.named),
        "system": body.system or source.system,
        "parameters": {**source.parameters, **body.defaults()},
        "license": (*source.license, *(body.license or ())),
    }
    if body.messages:
        request = schema.ChatRequest(messages=body.messages)
        changes["messages"] = translate.chat_prompt(request).messages
    return source.model_copy(update=changes)


def check_deletion(models: Models, name: str) -> None:
    """Raise GatewayError for a name that users cannot delete."""
    if not is_legal_name(name):
        raise InvalidRequestError(f'name "{name[:128]}" is invalid', "model")
    if name_key(name) not in models.created and _is_operators(models, name):
        raise OperatorModelError(name)


def _source(models: Models, name: str, now: float) -> CreatedModel:
    """Return a created model, or one of the catalog as if it had been created."""
    selected = select(models, name)
    if selected.created is not None:
        return selected.created.model_copy(update={"modified_at": now})
    model = selected.model
    return CreatedModel(name=model.listed_name, base=model.entry.id, modified_at=now)


def _free_name(models: Models, name: str) -> str:
    """Return the name of a new model, or the present one of what it replaces."""
    if _is_operators(models, name):
        raise OperatorModelError(name)
    known = models.created.get(name_key(name))
    return listed_name(name) if known is None else known.name


def _is_operators(models: Models, name: str) -> bool:
    """Whether a name is that of a model of the catalog, or a virtual one."""
    try:
        return select(models, name).created is None
    except NotReadyError:
        return True
    except ModelNotFoundError:
        return False
