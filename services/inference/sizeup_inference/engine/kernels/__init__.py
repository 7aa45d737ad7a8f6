"""Optional compiled kernels; torch computes the same where they are not built."""
