"""Processors: pure, constant work per event, event time only. A file is a plug-in."""
