"""Query results: stored, encoded in each format, attached, cleaned up."""
