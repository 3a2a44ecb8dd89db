"""Query results in each format."""
