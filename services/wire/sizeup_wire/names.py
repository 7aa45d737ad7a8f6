"""Model names, by the rules of Ollama's types/model/name.go. Pure.

A name is [host/][namespace/]model[:tag]; its defaults are registry.ollama.ai, library and latest.
"""

import re

_MODEL = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_NAMESPACE = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"
_HOST = r"(?:https?://)?[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"
_NAME = re.compile(rf"(?:(?:{_HOST}/)?{_NAMESPACE}/)?{_MODEL}(?::{_MODEL})?")

_DEFAULTS = re.compile(
    r"(?:(?:https?://)?(?:registry\.ollama\.ai|hf\.co|huggingface\.co)/(?=[^/]+/))?"
    r"(?:library/(?=[^/]*$))?",
    re.IGNORECASE,
)
_LATEST = ":latest"


def is_legal_name(name: str) -> bool:
    """Return whether a name follows Ollama's grammar; other names cannot exist."""
    return _NAME.fullmatch(name) is not None


def shortest_name(name: str) -> str:
    """Remove Ollama's default host and namespace, and the hosts of the Hugging Face Hub."""
    return _DEFAULTS.sub("", name, count=1)


def listed_name(name: str) -> str:
    """Return the shortest name with its tag: clients add `:latest` to a name without one."""
    short = shortest_name(name)
    return short if has_tag(short) else short + _LATEST


def has_tag(name: str) -> bool:
    return ":" in name.rpartition("/")[2]


def name_key(name: str) -> str:
    """Return what all spellings of a name have in common: equal keys are the same name."""
    return listed_name(name).lower()
