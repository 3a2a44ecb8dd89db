"""Backups of a database with its files, in one archive."""
