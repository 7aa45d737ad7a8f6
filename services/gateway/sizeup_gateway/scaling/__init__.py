"""Scale from and to zero, and keep_alive."""
