"""Created models -> the entries of Ollama's /api/tags and /api/show: those of the base, changed.

Pure.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import JsonValue

from sizeup_gateway.api.ollama.chunks import timestamp
from sizeup_gateway.api.ollama.describe import to_tag
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.created import CreatedModel
from sizeup_gateway.models.selection import Selected
from sizeup_gateway.responses.framing import Json
from sizeup_wire.generate import ChatMessage

_IDENTITY = {"name", "base", "modified_at"}


def to_created_tag(selected: Selected, now: datetime) -> Json:
    """Return the entry of /api/tags. A copy without settings has the digest of its base."""
    created, base = selected.created, to_tag(selected.model, now)
    assert created is not None
    settings = created.model_dump_json(exclude=_IDENTITY, exclude_defaults=True)
    digest = base["digest"]
    if settings != "{}":
        digest = hashlib.sha256(f"{digest} {settings}".encode()).hexdigest()
    identity = {"name": created.name, "model": created.name, "digest": digest}
    return {**base, **identity, "modified_at": _modified_at(created)}


def to_created_show(created: CreatedModel, model: Model, base: Json) -> Json:
    """Return the response of /api/show; `base` is that of the model it was created from."""
    inherited = [
        line
        for line in base["parameters"].splitlines()
        if line.split(maxsplit=1)[0] not in created.parameters
    ]
    own = [f"{name:<30} {_json(value)}" for name, value in _parameters(created)]
    shown = {
        **base,
        "modelfile": _modelfile(created, model),
        "parameters": "\n".join([*inherited, *own]),
        "modified_at": _modified_at(created),
    }
    if created.system:
        shown["system"] = created.system
    if created.messages:
        shown["messages"] = [_message(message) for message in created.messages]
    if created.license:
        shown["license"] = "\n".join(created.license)
    return shown


def _modified_at(created: CreatedModel) -> str:
    return timestamp(datetime.fromtimestamp(created.modified_at, UTC))


def _parameters(created: CreatedModel) -> Iterator[tuple[str, JsonValue]]:
    """Yield name and value; a list has a line for each of its items, as in a Modelfile."""
    for name, value in created.parameters.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, item


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def _modelfile(created: CreatedModel, model: Model) -> str:
    """Return a Modelfile from which `ollama create` makes the model again."""
    lines = [f"FROM {model.listed_name}"]
    if created.system:
        lines.append(f"SYSTEM {_quoted(created.system)}")
    for name, value in _parameters(created):
        shown = _quoted(value) if isinstance(value, str) else _json(value)
        lines.append(f"PARAMETER {name} {shown}")
    lines += [f"LICENSE {_quoted(text)}" for text in created.license]
    lines += [f"MESSAGE {m.role} {_quoted(m.content)}" for m in created.messages]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"""{text}"""'


def _message(message: ChatMessage) -> Json:
    """Return a turn in the form of a request's."""
    calls = [
        {
            **({"id": call.id} if call.id else {}),
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.tool_calls
    ]
    optional = {
        "thinking": message.thinking,
        "tool_calls": calls,
        "tool_name": message.name,
        "tool_call_id": message.tool_call_id,
    }
    present = {name: value for name, value in optional.items() if value}
    return {"role": message.role, "content": message.content, **present}
