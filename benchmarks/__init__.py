"""What a message costs, measured: run `python -m benchmarks`."""
