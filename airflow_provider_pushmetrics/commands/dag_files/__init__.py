"""Dag files: written from a report, and compared with it."""
