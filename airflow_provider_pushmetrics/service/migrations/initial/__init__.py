"""
The tables of the first migration, by what they hold.

A release has created them in users' databases: a change is a migration of its own, and nothing here changes.
"""
