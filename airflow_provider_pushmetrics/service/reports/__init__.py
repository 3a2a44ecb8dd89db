"""Reports and their blocks: written, checked and exported."""
