"""How batches travel between the parts: in one process, or over a broker."""
