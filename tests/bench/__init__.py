"""Every figure beside its ceiling, measured in the same run on the same machine: `python -m tests.bench`."""
