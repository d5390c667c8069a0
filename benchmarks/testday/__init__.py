"""A simulated day with planted events: what the detectors find, miss, and cry about."""
