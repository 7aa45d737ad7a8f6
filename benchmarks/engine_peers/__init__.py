"""The peers of benchmarks/engine.py, each a process that reads loads and writes measurements."""
