"""Run schemathesis against a gateway with toy models: `make fuzz`."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz.document import SERVED
from system.deployment import deployed

_HERE = Path(__file__).parent
_CONFIG = _HERE / "schemathesis.toml"

_ENVIRONMENT = {
    "SIZEUP_INFERENCE_MAX_MODEL_LEN": "256",  # bounds output that never ends
}


def main() -> int:
    """Return schemathesis's exit code: 0 without a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemathesis", type=Path, required=True, help="the executable")
    parser.add_argument("--seconds", type=int, default=600, help="duration of the run")
    parser.add_argument("--engine", choices=("transformers", "fake"), default="transformers")
    known, options = parser.parse_known_args()
    environment = {**_ENVIRONMENT, "SIZEUP_ENGINE": known.engine}
    with (
        tempfile.TemporaryDirectory() as folder,
        deployed(Path(folder), "--models", ",".join(SERVED), **environment) as deployment,
    ):
        command = [str(known.schemathesis.absolute()), "--config-file", str(_CONFIG), "run"]
        limits = ["--max-time", str(known.seconds), f"{deployment.url}/openapi.json", *options]
        code = subprocess.run(
            [*command, *limits],
            cwd=folder,  # schemathesis leaves its cache there
            env=os.environ | {"PYTHONPATH": str(_HERE.parent)},
            check=False,
        ).returncode
        errors = deployment.error_records()
        for record in errors:
            print(f"error in the logs: {record}", file=sys.stderr)
    return code or bool(errors)


if __name__ == "__main__":
    sys.exit(main())
