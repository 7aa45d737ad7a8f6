"""Prompts from a file: `prompt`, OpenAI's `messages`, or ShareGPT's `conversations`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as short

from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import input_file
from sizeup_loadtest.workload.prompt import PRELOAD_KEY, ChatMessage, Prompt, Role

KEY = "prompts.file"
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
}
"""Of OpenAI and, from `human`, of ShareGPT."""


def read(path: Path) -> Sequence[Prompt]:
    """Read every prompt, with its optional `key`; ConfigError names the line of a fault."""
    prompts: dict[str, Prompt] = {}
    for number, (where, entry) in enumerate(input_file.entries(path, KEY), 1):
        key = str(entry.get("key") or f"entry-{number}")
        if key in prompts or key == PRELOAD_KEY:
            raise ConfigError(f"{where}: key {short(key)} is already in use")
        prompts[key] = Prompt(key, messages(entry, where))
    return [*prompts.values()]


def messages(entry: Mapping[str, object], where: str) -> tuple[ChatMessage, ...]:
    """Return the conversation of an entry; ConfigError when it has no text of a user."""
    match entry:
        case {"prompt": str(text)}:
            found = [ChatMessage("user", text)]
        case {"messages": list(items)}:
            found = [_message(item, "role", "content", where) for item in items]
        case {"conversations": list(items)}:
            found = [_message(item, "from", "value", where) for item in items]
            # Those of ShareGPT end with an answer.
            while found and found[-1].role == "assistant":
                found.pop()
        case _:
            raise ConfigError(
                f"{where}: a string `prompt`, or a list `messages` or `conversations` is required"
            )
    if not any(message.role == "user" and message.content.strip() for message in found):
        raise ConfigError(f"{where}: no text of a user")
    return tuple(found)


def _message(item: object, role_key: str, text_key: str, where: str) -> ChatMessage:
    fields = item if isinstance(item, dict) else {}
    role = _ROLES.get(str(fields.get(role_key)))
    if role is None:
        raise ConfigError(
            f"{where}: a message needs a {role_key!r} (one of {', '.join(_ROLES)}), "
            f"not {short(fields.get(role_key))}"
        )
    return ChatMessage(role, _text(fields.get(text_key), text_key, where))


def _text(content: object, key: str, where: str) -> str:
    """Return a string, or the text parts of OpenAI's content list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ConfigError(f"{where}: {key!r} has to be a string or a list of text parts")
    texts = []
    for part in content:
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case _:
                kind = part.get("type") if isinstance(part, dict) else part
                raise ConfigError(f"{where}: only text parts are supported, not {short(kind)}")
    return "\n".join(texts)
