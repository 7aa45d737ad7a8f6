"""Import everything that serving a model uses, for a process that forks inference processes.

Imports only: no GPU is touched, and no thread started that computes.
"""

import os

from sizeup_inference.settings import OpenMPSettings

# OpenMP reads it once, when torch is imported.
os.environ["OMP_WAIT_POLICY"] = OpenMPSettings().omp_wait_policy  # noqa: TID251

import transformers.models.qwen2.modeling_qwen2
import transformers.models.qwen3.modeling_qwen3  # noqa: F401

import sizeup_inference.app
import sizeup_inference.startup.load_model  # noqa: F401
