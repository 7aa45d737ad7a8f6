"""Models that users create: a model of the catalog under another name, with settings of its own.

As `ollama cp` and `ollama create` make them; the weights are those of the catalog's model.
"""

from collections.abc import Mapping

from pydantic import JsonValue, field_validator

from sizeup_wire.generate import ChatMessage
from sizeup_wire.message import RequestModel
from sizeup_wire.names import is_legal_name, listed_name, name_key


class CreatedModel(RequestModel):
    """One of them, in the form in which it is stored.

    Unknown fields are rejected: those of a later release must not be dropped in silence.
    """

    name: str
    """As it is listed, with its tag."""
    base: str
    """Hugging Face id of the catalog's model."""
    system: str | None = None
    parameters: Mapping[str, JsonValue] = {}
    """Ollama's options, as the user wrote them."""
    messages: tuple[ChatMessage, ...] = ()
    """Turns before those of every conversation."""
    license: tuple[str, ...] = ()
    modified_at: float
    """Unix time."""

    @field_validator("name")
    @classmethod
    def _is_listed(cls, name: str) -> str:
        if not is_legal_name(name) or name != listed_name(name):
            raise ValueError("not a name as it is listed")
        return name

    @property
    def key(self) -> str:
        """What all spellings of its name have in common."""
        return name_key(self.name)
