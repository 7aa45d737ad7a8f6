"""What a created model adds to a request of either dialect, beneath what the request says. Pure."""

from collections.abc import Collection, Sequence

from pydantic_core import ErrorDetails

from sizeup_gateway.api.ollama import schema, translate
from sizeup_gateway.api.request_body import field_path, reason, validate
from sizeup_gateway.errors import InvalidRequestError
from sizeup_gateway.models.created import CreatedModel
from sizeup_wire.generate import (
    MAX_MESSAGES,
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
    Sampling,
)

_WITHOUT_OPTIONS = translate.from_generate(schema.GenerateRequest(prompt=""))
_MERGED = ("prompt", "sampling")
"""Fields of a wire request of which the parts are merged."""


def with_preset(
    created: CreatedModel | None, wire: GenerateRequest, given: Collection[str]
) -> GenerateRequest:
    """Add the settings of a created model, or nothing for None; raise InvalidRequestError.

    `given`: fields of the wire request that the client has set, if only to their defaults.
    """
    if created is None:
        return wire
    own = _options_of(created)
    added = {
        name: getattr(own, name)
        for name in GenerateRequest.model_fields.keys() - given - {*_MERGED}
        if getattr(own, name) != getattr(_WITHOUT_OPTIONS, name)
    }
    added["prompt"] = prompt_with_preset(created, wire.prompt)
    added["sampling"] = Sampling.model_validate(_set(own.sampling) | _set(wire.sampling))
    return wire.model_copy(update=added)


def prompt_with_preset(created: CreatedModel | None, prompt: Prompt) -> Prompt:
    """Add system prompt and turns of a created model; raw prompts and continued ones have none."""
    if created is None or not isinstance(prompt, ChatPrompt | AutoPrompt):
        return prompt
    default = _options_of(created).prompt
    assert isinstance(default, AutoPrompt)  # it has no messages
    thinking = default.thinking if prompt.thinking is None else prompt.thinking
    prompt = prompt.model_copy(update={"thinking": thinking})
    if prompt.prefix_token_ids:
        return prompt
    if isinstance(prompt, ChatPrompt):
        return prompt.model_copy(update={"messages": _messages(created, prompt.messages)})
    system = prompt.system or created.system
    if not created.messages:
        return prompt.model_copy(update={"system": system})
    turns = [ChatMessage(role="system", content=prompt.system)] if prompt.system else []
    turns.append(ChatMessage(role="user", content=prompt.text))
    return ChatPrompt(messages=_messages(created, turns), thinking=thinking)


def _messages(created: CreatedModel, turns: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Put the turns of the created model after the system message, which the request replaces."""
    if turns[0].role == "system":
        own = [message for message in created.messages if message.role != "system"]
        found = (turns[0], *own, *turns[1:])
    else:
        found = (*created.messages, *turns)
    if created.system and found[0].role != "system":
        found = (ChatMessage(role="system", content=created.system), *found)
    if len(found) > MAX_MESSAGES:
        message = f"messages: more than {MAX_MESSAGES} with those of {created.name}"
        raise InvalidRequestError(message, "messages")
    return found


def _options_of(created: CreatedModel) -> GenerateRequest:
    """Translate the parameters of a created model; raise InvalidRequestError."""

    def describe(details: ErrorDetails) -> InvalidRequestError:
        text = f"parameter {field_path(details)} of {created.name}: {reason(details)}"
        return InvalidRequestError(text, "model")

    options = validate(schema.Options, dict(created.parameters), describe)
    return translate.from_generate(schema.GenerateRequest(prompt="", options=options))


def _set(sampling: Sampling) -> dict[str, object]:
    return sampling.model_dump(exclude_none=True)
