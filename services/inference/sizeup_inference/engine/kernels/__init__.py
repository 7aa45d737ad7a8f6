"""Optional compiled kernels, called by attention.py only."""
