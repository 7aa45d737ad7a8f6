"""Charts: results in, SVG out; None without data. Pure."""
