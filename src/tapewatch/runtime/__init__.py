"""Composition: settings become workers, workers are supervised."""
