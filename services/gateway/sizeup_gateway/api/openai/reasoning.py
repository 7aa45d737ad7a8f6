"""Whether a model reasons before it answers, in the words of several servers. Pure."""

from typing import Literal

from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import Integer, Think
from sizeup_wire.generate import ThinkingMode

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class TemplateOptions(RequestBody):
    """Switches of chat templates, as in vLLM.

    Other template arguments are ignored: they could replace the messages or add control tokens.
    """

    enable_thinking: bool | None = None
    thinking: bool | None = None


class ThinkingSwitch(RequestBody):
    """`thinking` of DeepSeek's and Anthropic's APIs; a budget of tokens is a hint."""

    type: Literal["enabled", "disabled", "adaptive"]


class Reasoning(RequestBody):
    """`reasoning` of OpenRouter's API; a budget of tokens is a hint."""

    effort: Effort | None = None
    enabled: bool | None = None
    max_tokens: Integer | None = None
    exclude: bool | None = None
    """Reason, but do not return it."""


class ReasoningFields(RequestBody):
    """The first that is set decides, in this order.

    All are hints: a model without thinking ignores them. Levels act as on.
    """

    chat_template_kwargs: TemplateOptions | None = None
    enable_thinking: bool | None = None
    """Of Qwen's own API."""
    think: Think = None
    """Of Ollama's API."""
    thinking: ThinkingSwitch | None = None
    reasoning: Reasoning | None = None
    reasoning_effort: Effort | None = None
    include_reasoning: bool | None = None
    """False: reason, but do not return it."""


def thinking_mode(body: ReasoningFields) -> ThinkingMode | None:
    """Return the mode; None leaves it to the chat template."""
    decided = next((on for on in _switches(body) if on is not None), None)
    if decided is None:
        return None
    return "if_supported" if decided else "off"


def returns_reasoning(body: ReasoningFields) -> bool:
    """Whether reasoning is part of the response."""
    excluded = body.reasoning is not None and body.reasoning.exclude
    return not excluded and body.include_reasoning is not False


def _switches(body: ReasoningFields) -> tuple[bool | None, ...]:
    template = body.chat_template_kwargs or TemplateOptions()
    return (
        template.enable_thinking,
        template.thinking,
        body.enable_thinking,
        None if body.think is None else bool(body.think),
        None if body.thinking is None else _by_type(body.thinking),
        None if body.reasoning is None else _by_reasoning(body.reasoning),
        _by_effort(body.reasoning_effort),
    )


def _by_type(switch: ThinkingSwitch) -> bool | None:
    return None if switch.type == "adaptive" else switch.type == "enabled"


def _by_reasoning(reasoning: Reasoning) -> bool | None:
    if reasoning.enabled is not None:
        return reasoning.enabled
    if reasoning.effort is None and reasoning.max_tokens is not None:
        return reasoning.max_tokens > 0
    return _by_effort(reasoning.effort)


def _by_effort(effort: Effort | None) -> bool | None:
    return None if effort is None else effort != "none"
