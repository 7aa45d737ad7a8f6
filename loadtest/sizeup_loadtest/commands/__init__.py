"""The commands of `sizeup-bench`: each module has a `command`, and imports its room inside it."""
