"""The processes of `up`: one command each, configured by environment variables only."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sizeup.deployment.backoff import Policy
from sizeup.deployment.process import Command
from sizeup.models.local_models import LocalModel
from sizeup.ports import url
from sizeup_telemetry.secret_files import exposure_warning
from sizeup_wire.catalog import Catalog, ScaleToZero
from sizeup_wire.model import ModelInfo

_STARTUP_SECONDS = 86_400.0
"""For the gateway: a child that does not start is given up here, by its exits."""


@dataclass(frozen=True, slots=True)
class Options:
    host: str
    port: int
    drain_seconds: float
    log_level: str
    log_dir: Path
    created_models: Path
    """File of the models that users create."""
    engine: str
    environment: Mapping[str, str]
    """Inherited by the children."""
    restart: Policy
    threads: int | None = None

    @property
    def local_url(self) -> str:
        """The gateway's address as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return url(host, self.port)


def plan_inference(model: LocalModel, port: int, options: Options) -> Command:
    settings = {
        "MODEL": model.model,
        "MODEL_ID": model.entry.id,
        "REVISION": model.entry.revision,
        "DRAFT_MODEL": model.draft and model.draft.model,
        "DRAFT_REVISION": model.draft and model.draft.entry.revision,
        "HOST": "127.0.0.1",
        "PORT": port,
        "ENGINE": options.engine,
        "THREADS": options.threads,
    }
    command = _command(model.key, "sizeup_inference", "SIZEUP_INFERENCE_", settings, options)
    return replace(command, url=url("127.0.0.1", port))


def plan_describe(options: Options) -> Command:
    settings = {"ENGINE": options.engine}
    return _command("describe", "sizeup_inference.describe", "SIZEUP_INFERENCE_", settings, options)


def plan_gateway(catalog_file: Path, scale_socket: Path, options: Options) -> Command:
    settings = {
        "HOST": options.host,
        "PORT": options.port,
        "CATALOG": catalog_file,
        "SCALE_SOCKET": scale_socket,
    }
    if "SIZEUP_GATEWAY_CREATED_MODELS" not in options.environment:
        settings["CREATED_MODELS"] = options.created_models
    command = _command("gateway", "sizeup_gateway", "SIZEUP_GATEWAY_", settings, options)
    return replace(command, url=options.local_url)


def keys_file_warning(environment: Mapping[str, str]) -> str | None:
    """Return a line about an API key file of the gateway that other users have access to."""
    path = environment.get("SIZEUP_GATEWAY_API_KEYS_FILE")
    return exposure_warning(Path(path)) if path else None


def scale_name(index: int) -> str:
    """Return the name of a model's process in the scale API: keys may not be legal there."""
    return f"model-{index}"


def write_catalog(
    path: Path,
    models: Sequence[LocalModel],
    inference: Sequence[Command],
    infos: Sequence[ModelInfo | None],
) -> None:
    """Write the gateway's catalog: these models with one replica each, and their descriptions."""
    entries = {}
    for i, (model, command, info) in enumerate(zip(models, inference, infos, strict=True)):
        scale = ScaleToZero(
            deployment=scale_name(i), keep_alive_seconds=-1, startup_seconds=_STARTUP_SECONDS
        )
        changes = {
            "replicas": (command.url,),
            "scale_to_zero": scale,
            "info": info,
            "draft": None,  # of the processes, not of the gateway
        }
        entries[model.key] = model.entry.model_copy(update=changes)
    data = Catalog(models=entries).model_dump(mode="json", exclude_defaults=True)
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")


def shared_environment(options: Options) -> dict[str, str]:
    """Return the environment of every process, without its own settings."""
    return {
        **options.environment,
        "HF_HUB_OFFLINE": "1",  # only pull downloads
        "PYTHONUNBUFFERED": "1",
    }


def _command(
    name: str, module: str, prefix: str, settings: Mapping[str, Any], options: Options
) -> Command:
    shared = {"DRAIN_SECONDS": options.drain_seconds, "LOG_LEVEL": options.log_level}
    variables = {prefix + key: str(v) for key, v in {**settings, **shared}.items() if v is not None}
    # -P: the working directory must not shadow modules
    child = (sys.executable, "-P", "-m", "sizeup.deployment.child", str(os.getpid()))
    return Command(
        name=name,
        argv=(*child, name, module),
        environment={**shared_environment(options), **variables},
        log_path=options.log_dir / f"{name}.log",
    )
