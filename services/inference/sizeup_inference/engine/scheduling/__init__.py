"""Which tokens a step computes: sequences, pages, prefix cache, budget. Pure."""
