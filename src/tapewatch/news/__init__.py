"""Feeds of articles, read without I/O: documents, dates, assets in titles, when to ask again."""
