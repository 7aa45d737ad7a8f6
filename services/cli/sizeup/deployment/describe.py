"""The models by their files, for the gateway, which starts before they are loaded."""

import asyncio
import json
from collections.abc import Sequence

from pydantic import TypeAdapter

from sizeup.deployment.plan import Options, plan_describe
from sizeup.models.local_models import LocalModel
from sizeup_wire.model import ModelInfo

_SECONDS = 10.0
"""It reads configurations and headers, which takes a fraction of a second."""

_infos = TypeAdapter(list[ModelInfo | None])


async def describe_models(
    models: Sequence[LocalModel], options: Options
) -> Sequence[ModelInfo | None]:
    """Return the description of each model; None where its files are invalid."""
    command = plan_describe(options)
    settings = [
        {"model": m.model, "model_id": m.entry.id, "revision": m.entry.revision} for m in models
    ]
    process = await asyncio.create_subprocess_exec(
        *command.argv,
        env=command.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate(json.dumps(settings).encode())
        return _infos.validate_json(output)
    except (TimeoutError, ValueError):  # the processes of the models describe them later
        return [None] * len(models)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
