"""Request bodies of Ollama's model management; field names are those of its api/types.go."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from sizeup_gateway.api.ollama.schema import Message, NamedRequest, Options, Template
from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import unsupported
from sizeup_wire.generate import MAX_MESSAGES

_IGNORED = frozenset(
    {
        *("numa", "low_vram", "f16_kv", "logits_all", "vocab_only"),
        *("use_mlock", "embedding_only", "num_gqa", "tfs_z", "penalize_newline"),
        *("mirostat", "mirostat_eta", "mirostat_tau"),
    }
)
"""Former options of Ollama: kept and shown, without effect."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _never(field: str, reason: str) -> BeforeValidator:
    return unsupported(f"{field} is not supported: {reason}", empty=(None, "", [], {}))


_WEIGHTS = "weights are those of a model of this server; use from"
_BY_OPERATOR = "the operator chooses the quantization of weights"
_OWN_FORMAT = "the model's own format of prompts and tool calls is used"


class PullRequest(NamedRequest):
    """`POST /api/pull`."""

    stream: bool | None = None
    insecure: bool | None = None


class DeleteRequest(NamedRequest):
    """`DELETE /api/delete`."""


class CopyRequest(RequestBody):
    """`POST /api/copy`."""

    source: str
    destination: str


class Parameters(Options):
    """Defaults of a created model: Ollama's options."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if name not in _IGNORED:
                raise ValueError(f"unknown parameter '{name[:64]}'")
            if not isinstance(value, bool | int | float | str | None):
                raise ValueError(f"parameter '{name}' must be a number, a boolean or a string")  # noqa: TRY004
        return self


class CreateRequest(NamedRequest):
    """`POST /api/create`."""

    from_: str | None = Field(None, alias="from")
    """Name of the model to start from: one of the catalog, or a created one."""
    stream: bool | None = None
    system: str | None = None
    parameters: Parameters | None = None
    messages: Annotated[list[Message], Field(max_length=MAX_MESSAGES)] | None = None
    """Turns before those of every conversation."""
    license: Annotated[
        list[str] | None,
        BeforeValidator(_as_list, json_schema_input_type=str | list[str] | None),
    ] = None
    template: Template = None
    files: Annotated[None, _never("files", _WEIGHTS)] = None
    adapters: Annotated[None, _never("adapters", _WEIGHTS)] = None
    quantize: Annotated[None, _never("quantize", _BY_OPERATOR)] = None
    quantization: Annotated[None, _never("quantization", _BY_OPERATOR)] = None
    renderer: Annotated[None, _never("renderer", _OWN_FORMAT)] = None
    parser: Annotated[None, _never("parser", _OWN_FORMAT)] = None
    remote_host: Annotated[None, _never("remote_host", "models run on this server")] = None
    info: Annotated[None, _never("info", "the model describes itself")] = None

    def defaults(self) -> dict[str, Any]:
        """Return the parameters that are set, as they are shown again."""
        parameters = self.parameters or Parameters()
        return parameters.model_dump(exclude_none=True, exclude_unset=True)
