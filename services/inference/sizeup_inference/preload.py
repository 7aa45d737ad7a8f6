"""Import everything that serving a model uses, for a process that forks inference processes.

Imports only: no GPU is touched, and no thread started that computes.
"""

import importlib
import os

from sizeup_inference.settings import OpenMPSettings

# OpenMP reads it once, when torch is imported.
os.environ["OMP_WAIT_POLICY"] = OpenMPSettings().omp_wait_policy  # noqa: TID251

for _name in (
    "sizeup_inference.app",
    "sizeup_inference.startup.load_model",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.qwen3.modeling_qwen3",
):
    importlib.import_module(_name)
