"""Charts, one a file: results in, SVG out; None where nothing was measured."""
