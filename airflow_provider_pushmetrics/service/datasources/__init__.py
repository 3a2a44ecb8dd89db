"""The databases that SQL blocks query."""
