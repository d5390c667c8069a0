"""Links to venues: connect, keep alive, limit, record. Knows no venue by name."""
