"""What gateway and inference say to each other: pydantic models and nothing else."""
