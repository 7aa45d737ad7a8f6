"""Optional compiled kernels; attention.py alone calls them."""
