"""Sources of events: native venues, recordings."""
