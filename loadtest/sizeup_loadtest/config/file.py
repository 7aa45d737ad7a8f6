"""Config files: found by name or path, read strictly, mistakes told in the file's own words."""

import difflib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.errors import ConfigError

MAX_BYTES = 1 << 20


def load(
    path_or_name: str,
    *,
    url: str | None = None,
    models: Sequence[str] = (),
    fallback_url: str | None = None,
) -> Config:
    """Read a config file or a scenario that comes with the package; ConfigError tells mistakes.

    `models` takes the place of the file's; a model of the file keeps its price and bandwidth.
    `url` goes before the file's own, `fallback_url` behind it.
    """
    name, text, folder = _read(path_or_name)
    data = parse(text, name)
    data["scenario"] = name
    data |= _address(data, url, fallback_url)
    if models:
        data["models"] = _chosen(data.get("models"), models)
    prompts = _section(data, "prompts")
    if isinstance(prompts.get("file"), str) and folder is not None:
        data["prompts"] = prompts | {"file": str(folder / prompts["file"])}
    return validate(data, name)


def validate(data: dict[str, Any], name: str) -> Config:
    """Check a parsed file; ConfigError has a line per mistake."""
    try:
        # JSON's strict mode takes a list for a tuple, and nothing else that it is not.
        return Config.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        lines = [f"  {_mistake(details)}" for details in error.errors()]
        raise ConfigError("\n".join([f"{name} is not right:", *lines])) from None


def parse(text: str, name: str) -> dict[str, Any]:
    """Read YAML whose top is a mapping and whose keys are there once."""
    try:
        data = yaml.load(text, Loader=_Once)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{name} is not a mapping of keys to values")
    return data


def scenarios() -> list[str]:
    """List the names of the configs that come with the package."""
    folder = resources.files("sizeup_loadtest") / "scenarios"
    return sorted(Path(file.name).stem for file in folder.iterdir() if _is_yaml(file.name))


class _Once(yaml.SafeLoader):
    """A safe loader that refuses a key that is there twice: YAML would keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(problem=f"{twice!r} twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _is_yaml(name: str) -> bool:
    return Path(name).suffix in (".yaml", ".yml")


def _read(path_or_name: str) -> tuple[str, str, Path | None]:
    """Return a file's name, text and folder; a scenario has no folder."""
    if path_or_name in scenarios():
        file = resources.files("sizeup_loadtest") / "scenarios" / f"{path_or_name}.yaml"
        return path_or_name, file.read_text(encoding="utf-8"), None
    path = Path(path_or_name)
    if not path.is_file():
        known = ", ".join(scenarios())
        raise ConfigError(f"{path_or_name}: neither a file nor one of the scenarios {known}")
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{path_or_name}: longer than {MAX_BYTES} bytes")
    try:
        return path.stem, path.read_text(encoding="utf-8"), path.parent
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path_or_name}: {error}") from None


def _section(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _address(data: dict[str, Any], url: str | None, fallback: str | None) -> dict[str, Any]:
    target = data.get("target", {})
    if not isinstance(target, dict):
        return {}
    chosen = url or target.get("url") or fallback
    return {"target": target | {"url": chosen}} if chosen else {}


def _chosen(known: object, names: Sequence[str]) -> list[Any]:
    items = known if isinstance(known, list) else []
    by_name = {item["name"]: item for item in items if isinstance(item, dict) and "name" in item}
    return [by_name.get(name, {"name": name}) for name in names]


def _mistake(details: Any) -> str:
    path = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"{path}: no such key{_meant(details['loc'])}"
    message = str(details["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _meant(location: Sequence[int | str]) -> str:
    """Guess which key of the same section was meant."""
    section: type[BaseModel] | None = Config
    for part in location[:-1]:
        section = _inner(section, part) if isinstance(part, str) else section
    if section is None:
        return ""
    close = difflib.get_close_matches(str(location[-1]), section.model_fields, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(section.model_fields)}"


def _inner(section: type[BaseModel] | None, key: str) -> type[BaseModel] | None:
    """Return the section below a key, also where it stands in a list."""
    if section is None or key not in section.model_fields:
        return None
    found = [section.model_fields[key].annotation]
    while found:
        kind = found.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        found += [arg for arg in getattr(kind, "__args__", ()) if arg is not Ellipsis]
        found += list(getattr(kind, "__metadata__", ()))
    return None
