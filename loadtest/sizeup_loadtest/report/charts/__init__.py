"""Charts: results in, SVG out; None where nothing was measured."""
