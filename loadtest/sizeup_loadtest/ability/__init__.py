"""Questions with one right answer, made from a seed: what a size can do, by kind and by level."""
