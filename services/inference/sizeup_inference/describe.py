"""Describe models by their files, before a process has loaded them.

`python -m sizeup_inference.describe` is for a supervisor whose processes do not run yet: it reads a
JSON list of settings, by their names in Settings, and writes a JSON list with the ModelInfo of
each, null where the files are missing or invalid. What the list leaves out is read from the
environment.
"""

import json
import logging
import sys

from sizeup_inference.fake.model import describe as describe_fake
from sizeup_inference.settings import Settings
from sizeup_inference.startup.model_details import read_details, to_lines
from sizeup_inference.startup.model_info import describe_folder
from sizeup_store.errors import StoreError
from sizeup_store.weights import find_model
from sizeup_wire.model import ModelInfo

log = logging.getLogger(__name__)


def describe(settings: Settings) -> ModelInfo | None:
    """Describe the model of a process; None for invalid files, whose error loading reports."""
    if settings.engine == "fake":
        return describe_fake(settings)
    try:
        folder = find_model(settings.model, settings.revision, settings.hub_cache)
        return describe_folder(settings, folder)
    except (StoreError, OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("model.not_described", extra={"model": settings.model, "error": repr(error)})
        return None


def details(settings: Settings) -> bytes:
    """Return the response of routes.MODEL_DETAILS; raise StoreError for invalid files."""
    if settings.engine == "fake":
        return to_lines([], [], [], [])
    return read_details(find_model(settings.model, settings.revision, settings.hub_cache))


def main() -> None:
    """Read the settings from stdin, and write the descriptions to stdout."""
    infos = [describe(Settings(**values)) for values in json.load(sys.stdin)]
    json.dump([info and info.model_dump(mode="json") for info in infos], sys.stdout)


if __name__ == "__main__":
    main()
