"""Benchmarks against real servers: `python -m bench --help`, docs/benchmarks.md."""
