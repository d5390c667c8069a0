"""Keyed state, timers, windows and books. Pure."""
