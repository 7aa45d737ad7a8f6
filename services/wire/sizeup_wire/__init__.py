"""Messages between gateway and inference: pydantic models and nothing else."""
