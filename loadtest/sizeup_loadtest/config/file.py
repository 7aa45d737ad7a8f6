"""Config files: looked up by name or path, parsed strictly, errors in terms of the file's keys."""

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sizeup_loadtest.config.models import Target
from sizeup_loadtest.config.overrides import Overrides
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import base_url
from sizeup_loadtest.errors import ConfigError, UsageError

MAX_BYTES = 1 << 20
_MESSAGES = {
    "too_short": "at least one is required",
    "model_type": "keys and values are required here",
    "model_attributes_type": "keys and values are required here",
}
"""Where pydantic speaks of its own types."""

Section = TypeVar("Section", bound=BaseModel)


def load(
    path_or_name: str,
    *,
    urls: Sequence[str] = (),
    models: Sequence[str] = (),
    fallback_url: str | None = None,
    only: Collection[str] = (),
    overrides: Overrides | None = None,
    discover: Callable[[Target, str], Sequence[Mapping[str, str]]] | None = None,
) -> Config:
    """Load a config file or a bundled scenario; ConfigError lists every problem.

    `models` replaces the models of the file; a model that the file has keeps its other keys. One
    URL overrides that of the file's target, `fallback_url` (SIZEUP_URL) is used where it has none.
    `only` enables these phases, and disables the others. `discover` finds the models of several
    URLs, and where neither the file nor `models` has any; its second argument says in words what
    they replace.
    """
    name, text, folder = _read(path_or_name)
    data = parse(text, name)
    data["scenario"] = name
    url = _given(urls[0], "--url") if len(urls) == 1 else None
    data |= _target(data, url, _given(fallback_url, "SIZEUP_URL"))
    if discover is not None and (len(urls) > 1 or not (models or "models" in data)):
        target = _validated(Target, data.get("target", {}), name, ("target",))
        replaced = f" (of --url, instead of those of {name})" if "models" in data else ""
        data["models"] = [*discover(target, replaced)]
    elif models:
        known = _by_name(data.get("models"))
        data["models"] = [known.get(name, {"name": name}) for name in models]
    if overrides is not None:
        overrides.apply(data)
    if only:
        _limit(data, only)
    if folder is not None:
        _resolve_files(data, folder)
    return validate(data, name)


def validate(data: dict[str, Any], name: str) -> Config:
    """Validate a parsed file; ConfigError has one problem per line."""
    return _validated(Config, data, name)


def _validated(
    section: type[Section], data: object, name: str, prefix: tuple[str, ...] = ()
) -> Section:
    try:
        # Strict mode from JSON accepts a list for a tuple and no other conversion.
        text = json.dumps(data, default=str, ensure_ascii=False).encode()
        return section.model_validate_json(text, strict=True)
    except UnicodeEncodeError as error:
        surrogate = ascii(error.object[error.start])[1:-1]
        raise ConfigError(f"{name}: {surrogate} is half a character") from None
    except ValidationError as error:
        problems = error.errors()
        shown = (one for one in problems if not _follows(one, problems))
        lines = [f"  {_problem(one, prefix)}" for one in shown]
        raise ConfigError("\n".join([f"{name}: invalid config:", *lines])) from None


def parse(text: str, name: str) -> dict[str, Any]:
    """Parse YAML that must be a mapping without duplicate keys."""
    try:
        data = yaml.load(text, Loader=_Loader)
        json.dumps(data, default=str, skipkeys=True)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{name}: invalid YAML: {line}{error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: invalid YAML: {' '.join(str(error).split())}") from None
    except (RecursionError, ValueError):  # the latter: an anchor that contains its alias
        raise ConfigError(f"{name}: invalid YAML: nested without end") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: not a mapping")
    return data


def scenarios() -> list[str]:
    folder = resources.files("sizeup_loadtest") / "scenarios"
    names = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


class _Loader(yaml.SafeLoader):
    """A safe loader that rejects duplicate keys, of which YAML would keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        known = list[object]()
        for key, _ in node.value:
            if key.value in known:
                problem = f"duplicate key {key.value!r}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            known.append(key.value)
        return super().construct_mapping(node, deep)


# As in YAML 1.2: PyYAML implements 1.1, in which 7.6e9 without a sign is a text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    [*"-+0123456789"],
)


def _read(path_or_name: str) -> tuple[str, str, Path | None]:
    """Return name, text and folder of a file; a bundled scenario has no folder."""
    if path_or_name in scenarios():
        file = resources.files("sizeup_loadtest") / "scenarios" / f"{path_or_name}.yaml"
        return path_or_name, file.read_text(encoding="utf-8"), None
    path = Path(path_or_name)
    if not path.is_file():
        known = ", ".join(scenarios())
        raise ConfigError(f"{path_or_name}: no such file or scenario (scenarios: {known})")
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{path_or_name}: larger than {MAX_BYTES} bytes")
    try:
        return path.stem, path.read_text(encoding="utf-8"), path.parent
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path_or_name}: {error}") from None


def _section(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _given(url: str | None, source: str) -> str | None:
    """Check a URL that is not of the file; UsageError blames where it is from."""
    if not url:
        return None
    try:
        return base_url(url)
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from None


def _limit(data: dict[str, Any], only: Collection[str]) -> None:
    for phase in ("capacity", "ability"):
        data[phase] = _section(data, phase) | {"enabled": phase in only}
    if "speed" not in only:
        load = _section(data, "load")
        data["load"] = load | {"closed": [], "open": _section(load, "open") | {"rates": []}}
    if "ability" not in only:
        data["lm_eval"] = _section(data, "lm_eval") | {"enabled": False}


def _resolve_files(data: dict[str, Any], folder: Path) -> None:
    """Make files relative to the config's folder."""
    models = data.get("models")
    servers = [data.get("target"), *(models if isinstance(models, list) else [])]
    trace = _section(_section(data, "load"), "trace")
    files = [*((data.get(key), "file") for key in ("prompts", "ability")), (trace, "file")]
    places = [*files, *((server, "verify") for server in servers)]
    for section, key in places:
        if isinstance(section, dict) and isinstance(section.get(key), str):
            section[key] = str(folder / section[key])


def _target(data: dict[str, Any], url: str | None, fallback: str | None) -> dict[str, Any]:
    target = data.get("target", {})
    if not isinstance(target, dict):
        return {}
    chosen = url or target.get("url") or fallback
    return {"target": target | {"url": chosen}} if chosen else {}


def _by_name(models: object) -> dict[str, dict[str, Any]]:
    items = models if isinstance(models, list) else []
    return {item["name"]: item for item in items if isinstance(item, dict) and "name" in item}


def _follows(problem: Any, problems: Sequence[Any]) -> bool:
    """Whether a list is too short only because its items are invalid."""
    path = problem["loc"]
    inside = (p["loc"] for p in problems if len(p["loc"]) > len(path))
    return problem["type"] == "too_short" and any(loc[: len(path)] == path for loc in inside)


def _problem(details: Any, prefix: tuple[str, ...]) -> str:
    location = (*prefix, *details["loc"])
    path = ".".join(str(part) for part in location if not str(part).startswith("="))
    value, most = details.get("input"), details.get("ctx", {}).get("le")
    if details["type"] == "less_than_equal" and most == 1 and 1 < value <= 100:
        return f"{path}: a fraction, not a percentage: {value / 100:g}"
    if details["type"] == "extra_forbidden":
        return f"{path}: unknown key{_suggestion(location)}"
    message = _MESSAGES.get(details["type"]) or str(details["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _suggestion(location: Sequence[int | str]) -> str:
    """Suggest the closest key of the same section, else list them."""
    section: type[BaseModel] | None = Config
    for part in location[:-1]:
        section = subsection(section, part) if isinstance(part, str) else section
    if section is None:
        return ""
    close = difflib.get_close_matches(str(location[-1]), section.model_fields, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(section.model_fields)}"


def subsection(section: type[BaseModel] | None, key: str) -> type[BaseModel] | None:
    """Return the section under a key, also inside a list or a union, whose branches are no keys."""
    if section is None or key not in section.model_fields:
        return section
    found = [section.model_fields[key].annotation]
    while found:
        kind = found.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        found += [arg for arg in getattr(kind, "__args__", ()) if arg is not Ellipsis]
        found += list(getattr(kind, "__metadata__", ()))
    return None
